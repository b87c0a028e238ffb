"""Where the fast tests find the code of the roles."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests/tornado_app")]
for folder in ROOT.glob("roles/*/library"):
    sys.path.insert(0, str(folder))
for folder in ROOT.glob("roles/*/module_utils"):
    sys.path.insert(0, str(folder))
# Under the name by which Ansible gives them to modules.
for name in ("tornado_app_host", "tornado_app_static"):
    sys.modules[f"ansible.module_utils.{name}"] = __import__(name)
