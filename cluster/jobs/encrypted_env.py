"""Environment variables of a job, such as a W&B key, encrypted with the cluster's token.

Ray writes the environment of a job to its logs and shows it to everyone who lists the jobs. So the values are encrypted
before submission, and `python -m cluster.jobs.encrypted_env COMMAND ...` decrypts them in the job and runs the command.
The token is the key: it already allows its owner to run programs on the cluster. Ray actors do not get the variables.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import sys
from collections.abc import Sequence
from typing import Any

from lab.errors import UserError

VARIABLE = "RIVALS_ENCRYPTED_ENV"
_SALT_BYTES = 16


def encrypt(names: Sequence[str], token: str) -> str:
    """The named environment variables of this process, encrypted. Raises UserError for a variable that is not set."""
    missing = [name for name in names if name not in os.environ]
    if missing:
        raise UserError(f"--env {missing[0]}: no such environment variable; `export {missing[0]}=...` first")
    salt = os.urandom(_SALT_BYTES)
    values = json.dumps({name: os.environ[name] for name in names}).encode()
    cipher = _fernet().Fernet(_key(token, salt))
    return f"{base64.urlsafe_b64encode(salt).decode()}.{cipher.encrypt(values).decode()}"


def decrypt(text: str, token: str) -> dict[str, str]:
    """The variables by name. Raises UserError when they were encrypted with another token."""
    fernet = _fernet()
    salt, _, encrypted = text.partition(".")
    try:
        values = fernet.Fernet(_key(token, base64.urlsafe_b64decode(salt))).decrypt(encrypted)
    except (fernet.InvalidToken, ValueError):
        raise UserError(
            "the variables of --env were encrypted with another token than this node's: use the same RAY_AUTH_TOKEN or "
            "~/.ray/auth_token on all machines"
        ) from None
    return dict(json.loads(values))


def _fernet() -> Any:
    try:
        from cryptography import fernet
    except ImportError:
        raise UserError("--env needs the package cryptography: pip install 'rivals-lab[cluster]'") from None
    return fernet


def _key(token: str, salt: bytes) -> bytes:
    # Slow on purpose: the encrypted values are in logs, and the token may be easy to guess.
    return base64.urlsafe_b64encode(hashlib.scrypt(token.encode(), salt=salt, n=2**14, r=8, p=1, dklen=32))


def main(command: Sequence[str]) -> None:
    """Replace this process by the command, with the decrypted variables in its environment."""
    from cluster.pool.connection import find_token

    token = find_token()
    if token is None:
        raise UserError("this node has no token to decrypt the variables of --env")
    environment = {name: value for name, value in os.environ.items() if name != VARIABLE}
    environment |= decrypt(os.environ[VARIABLE], token)
    os.execvpe(command[0], list(command), environment)  # keeps the process id, so Ray's signals reach the command


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except UserError as error:
        sys.exit(f"lab: {error}")
