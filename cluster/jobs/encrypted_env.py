"""Variables for a job's own process, such as a W&B key, sealed with the cluster's token.

Ray logs the environment of a job in clear on its nodes and shows it to whoever lists jobs. So values are encrypted
here and decrypted by the job itself: `python -m cluster.jobs.encrypted_env COMMAND ...` runs the command with them.
Whoever has the token may run anything on the cluster anyway, so nobody new is trusted. Actors do not get them.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import sys
from collections.abc import Sequence

from lab.errors import UserError

VARIABLE = "RIVALS_SEALED"
_SALT_BYTES = 16


def seal(names: Sequence[str], token: str) -> str:
    """The named variables of this process's environment, encrypted. Raises UserError for one that is not set."""
    from cryptography.fernet import Fernet

    missing = [name for name in names if name not in os.environ]
    if missing:
        raise UserError(f"--env {missing[0]}: no such variable in this environment; `export {missing[0]}=...` first")
    salt = os.urandom(_SALT_BYTES)
    values = json.dumps({name: os.environ[name] for name in names}).encode()
    return f"{base64.urlsafe_b64encode(salt).decode()}.{Fernet(_key(token, salt)).encrypt(values).decode()}"


def unseal(sealed: str, token: str) -> dict[str, str]:
    """The variables by name. Raises UserError when they were sealed with another token."""
    from cryptography.fernet import Fernet, InvalidToken

    salt, _, secret = sealed.partition(".")
    try:
        values = Fernet(_key(token, base64.urlsafe_b64decode(salt))).decrypt(secret)
    except (InvalidToken, ValueError):
        raise UserError(
            "the variables sent with --env were sealed with another token than this node's: give every machine the "
            "same RAY_AUTH_TOKEN or ~/.ray/auth_token"
        ) from None
    return dict(json.loads(values))


def _key(token: str, salt: bytes) -> bytes:
    # Slow on purpose: what is sealed lies in logs, and a token may be one that a person made up.
    return base64.urlsafe_b64encode(hashlib.scrypt(token.encode(), salt=salt, n=2**14, r=8, p=1, dklen=32))


def main(command: Sequence[str]) -> None:
    """Become the command, with the sealed variables in its environment."""
    from cluster.jobs.job_server import read_token

    token = read_token()
    if token is None:
        raise UserError("this node has no token to open the variables sent with --env")
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    environment |= unseal(os.environ[VARIABLE], token)
    os.execvpe(command[0], list(command), environment)  # keeps the process id: Ray's signals reach the run


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except UserError as error:
        sys.exit(f"lab: {error}")
