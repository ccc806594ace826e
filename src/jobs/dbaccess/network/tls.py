"""Builds an SSLContext from TLS settings, with libpq's six meanings of sslmode.

    disable      plain text                              verify-ca    TLS; the certificate's issuer is trusted
    allow        plain text, else TLS                    verify-full  TLS; in addition, it matches the host
    prefer       TLS, else plain text
    require      TLS, whatever the certificate

As in libpq, a root certificate that is given is used for verification also below verify-ca.
https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-PROTECTION
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from importlib.resources import files

from jobs.dbaccess.conninfo.rds_hosts import is_rds
from jobs.dbaccess.conninfo.settings import SYSTEM_ROOTS, Pem, Tls
from jobs.dbaccess.errors import TlsFailed, UsageError

RDS_BUNDLE = "rds-global-bundle.pem"
"""Beside this module. rds-global-bundle.md names its source and date."""

VERIFYING = ("verify-ca", "verify-full")
OFFERING = ("prefer", "require", *VERIFYING)
"""Modes that try TLS first."""


@lru_cache(maxsize=8)  # reading the system's roots takes longer than a login
def context_for(tls: Tls, host: str) -> ssl.SSLContext:
    """Return what a TLS connection to a host must satisfy.

    Python 3.13's VERIFY_X509_STRICT stays off, as in libpq: it refuses private authorities without a key identifier,
    and a job must not depend on the version of the interpreter for that.

    Raises:
        UsageError: A certificate or key cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = tls.mode == "verify-full"
    if tls.mode in VERIFYING or isinstance(tls.roots, Pem):
        _trust(context, tls.roots, host)
    else:
        context.verify_mode = ssl.CERT_NONE
    if tls.certificate is not None and tls.key is not None:
        _identify(context, tls.certificate, tls.key, tls)
    return context


def _trust(context: ssl.SSLContext, roots: Pem | str | None, host: str) -> None:
    """Trust the given authorities; otherwise those of the system and, for RDS, also Amazon's.

    Those of the system are needed for RDS Proxy, which has a public certificate.
    """
    if isinstance(roots, Pem):
        try:
            context.load_verify_locations(cadata=roots.text)
        except (ssl.SSLError, ValueError):
            raise UsageError(
                f"{roots.path} (sslrootcert) holds no certificate.", "Give a file in PEM format."
            ) from None
        return
    context.load_default_certs()
    if roots != SYSTEM_ROOTS and is_rds(host):
        context.load_verify_locations(cadata=files("jobs.dbaccess").joinpath(RDS_BUNDLE).read_text(encoding="ascii"))


def _identify(context: ssl.SSLContext, certificate: Pem, key: Pem, tls: Tls) -> None:
    """Load our own certificate. The ssl module accepts only a path, so it reads a pipe: no secret is on a disk."""
    password = tls.key_password() if tls.key_password else ""
    with ExitStack() as pipes:
        try:
            context.load_cert_chain(
                pipes.enter_context(_readable(certificate.text)),
                pipes.enter_context(_readable(key.text)),
                lambda: password,
            )
        except OSError as error:  # SSLError is one; a wrong password of the key raises a plain OSError
            reason = getattr(error, "reason", None) or "the key cannot be read"
            raise UsageError(
                f"The client certificate {certificate.path} and its key {key.path} cannot be used: {reason}.",
                "Check that they belong together, and the key's password (sslpassword).",
            ) from None


@contextmanager
def _readable(text: str) -> Iterator[str]:
    """Yield a path from which the text can be read once."""
    reading, writing = os.pipe()
    try:
        # It fits into a pipe's buffer (64 KiB; 16 on macOS), so this does not wait for a reader.
        os.write(writing, text.encode())
        os.close(writing)
        yield f"/dev/fd/{reading}"
    finally:
        os.close(reading)


# OpenSSL's X509_V_ERR_*: https://docs.openssl.org/master/man3/X509_STORE_CTX_get_error/
_NOT_YET_VALID, _EXPIRED, _SELF_SIGNED, _UNKNOWN_ISSUERS = 9, 10, 18, (2, 19, 20, 21)
_HOSTNAME_MISMATCHES = (62, 64)


def handshake_failure(error: ssl.SSLError, server: str) -> TlsFailed:
    """Return why a handshake failed, and what to do."""
    code = getattr(error, "verify_code", None)
    reason = getattr(error, "verify_message", "") or error.reason or str(error)
    if code in _UNKNOWN_ISSUERS or code == _SELF_SIGNED:
        hint = "Give its authority's certificate with --sslrootcert."
    elif code in _HOSTNAME_MISMATCHES:
        hint = "Connect with a name in the certificate."
    elif code == _EXPIRED:
        hint = "Have the server's certificate renewed, and check this machine's clock."
    elif code == _NOT_YET_VALID:
        hint = "Check this machine's clock."
    else:
        hint = "Check the server's TLS settings and its log."
    return TlsFailed(f"TLS with {server} failed: {reason}.", hint)
