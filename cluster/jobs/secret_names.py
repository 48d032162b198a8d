"""Names of files and folders that usually hold secrets: they are never uploaded with a job, tracked by git or not."""

from __future__ import annotations

import re
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
_SOURCE = (".py", ".pyi", ".md", ".rst", ".html", ".css", ".svg", ".c", ".cc", ".cpp", ".h", ".cu", ".sh")


def is_secret(path: str) -> bool:
    """Whether a relative path, with / between its parts, has the name of a secret.

    The names are compared without regard to case. Words such as "credentials" or "api-key" count in files that are not
    program text: `tokens.py` is no secret.
    """
    parts = PurePosixPath(path.lower()).parts
    if any(part in FOLDERS for part in parts[:-1]):
        return True
    name = parts[-1]
    if name in FOLDERS or any(fnmatchcase(name, pattern) for pattern in FILES):
        return True
    return not name.endswith(_SOURCE) and _WORDS.search(name) is not None
