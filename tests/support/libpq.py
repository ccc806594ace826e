"""Settings as the environment variables that libpq, and so psql and these jobs, read."""

from __future__ import annotations

from jobs.dbaccess.conninfo.settings import Login, Settings


def password_of(settings: Settings) -> str:
    """The password for the first server, or an empty one."""
    server = settings.servers[0]
    login = Login(server.host, server.port, settings.user, settings.dbname)
    return settings.password(login) if settings.password else ""


def environment(settings: Settings) -> dict[str, str]:
    """PGHOST and the like."""
    server = settings.servers[0]
    return {
        "PGHOST": server.host,
        "PGPORT": str(server.port),
        "PGDATABASE": settings.dbname,
        "PGUSER": settings.user,
        "PGPASSWORD": password_of(settings),
    }
