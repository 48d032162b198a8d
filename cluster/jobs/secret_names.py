"""Names of files and folders that usually hold secrets: they are never uploaded with a job, tracked by git or not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import PurePosixPath

FOLDERS = (
    ".ssh", ".gnupg", ".aws", ".azure", ".gcloud", "gcloud", ".oci", ".kube", ".docker", ".kaggle", ".huggingface",
    ".config", ".local", ".cache", ".password-store", ".terraform", ".terraform.d", ".ray", ".jupyter", ".mozilla",
    ".vault", ".secrets", ".git",
)  # fmt: skip
"""Folders none of whose files are uploaded."""

FILES = (
    # variables, logins and histories of shells
    ".env", ".env.*", "*.env", ".envrc", ".netrc", "_netrc", ".git-credentials", ".pgpass", "pgpass.conf", ".my.cnf",
    ".pypirc", ".npmrc", ".yarnrc.yml", ".condarc", ".htpasswd", ".boto", ".s3cfg", ".dockercfg", ".vault-token",
    ".wandbrc", "kaggle.json", "*_history",
    # keys, certificates with keys, key stores and encrypted files
    "*.pem", "*.key", "*.p12", "*.pfx", "*.pkcs12", "*.p8", "*.der", "*.jks", "*.keystore", "*.kdb", "*.kdbx", "*.ppk",
    "*.gpg", "*.pgp", "*.asc", "*.age", "*.ovpn", "*.mobileprovision",
    "id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", "authorized_keys", "known_hosts", "*.agekey",
    # configurations of clouds and clusters
    "kubeconfig", "*.kubeconfig", "*.tfstate", "*.tfstate.*", "*.tfvars", "*.publishsettings", "adc.json",
    "secret.py", "secrets.py",
)  # fmt: skip
"""Files, as patterns of the shell, in lower case."""

_WORDS = re.compile(
    r"(?:^|[^a-z0-9])(?:secrets?|credentials?|passwords?|passwd|passphrase|(?:auth|access|api|bearer)?[-_ ]?token"
    r"|(?:api|private|access|secret|ssh|encryption)[-_ ]?keys?|service[-_ ]?account|client[-_ ]?secret)(?:$|[^a-z0-9])"
)
_COPIES = ("~", ".bak", ".old", ".orig", ".save", ".swp", ".tmp", ".txt", ".zip", ".gz", ".tar", ".tgz", ".7z")
_SOURCE = (".py", ".pyi", ".md", ".rst", ".html", ".css", ".svg", ".c", ".cc", ".cpp", ".h", ".cu", ".sh")


def is_secret(path: str) -> bool:
    """Whether a relative path, with / between its parts, has the name of a secret, or of a copy of one (`.env.bak`).

    The names are compared without regard to case. Words such as "credentials" or "api-key", of the file or of a folder,
    count in files that are not program text: `tokens.py` is no secret.
    """
    parts = PurePosixPath(path.lower()).parts
    if any(part in FOLDERS for part in parts[:-1]) or any(map(_is_listed, _originals(parts[-1]))):
        return True
    return not parts[-1].endswith(_SOURCE) and any(_WORDS.search(part) for part in parts)


def _is_listed(name: str) -> bool:
    return name in FOLDERS or any(fnmatchcase(name, pattern) for pattern in FILES)


def _originals(name: str) -> Iterator[str]:
    """The name, and without the endings of copies and archives."""
    yield name
    while ending := next((one for one in _COPIES if name.endswith(one) and name != one), ""):
        name = name.removesuffix(ending)
        yield name
