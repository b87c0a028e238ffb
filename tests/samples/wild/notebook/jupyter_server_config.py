"""Read by Jupyter."""

import os

c = get_config()  # noqa: F821  Jupyter's own
with open(os.path.join(os.environ["CREDENTIALS_DIRECTORY"], "token")) as file:
    c.IdentityProvider.token = file.read()
