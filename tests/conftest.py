"""Where the fast tests find the code of the roles."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

sys.path.insert(0, str(ROOT / "tests"))
for folder in ROOT.glob("roles/*/library"):
    sys.path.insert(0, str(folder))
