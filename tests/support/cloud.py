"""An AWS of our own: moto's server, which processes of their own reach, too."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

import boto3
from botocore.loaders import JSONFileLoader
from moto.server import ThreadedMotoServer

REGION = "eu-west-1"

os.environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"  # a second of CPU, of which no test sees anything

_read = JSONFileLoader.load_file


@cache
def _read_once(path: str) -> Any:  # noqa: ANN401 - JSON
    return _read(JSONFileLoader(), path)


# Each session reads the endpoints and the services anew, for a quarter of a second. Tests make hundreds of sessions.
JSONFileLoader.load_file = lambda _, path: _read_once(path)


@contextmanager
def moto_server() -> Iterator[Mapping[str, str]]:
    """Serve, and give the environment that leads boto3 there. What is stored stays until the process ends."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_EC2_METADATA_DISABLED": "true",
        }
    finally:
        server.stop()


def store_secret(environ: Mapping[str, str], name: str, text: str) -> None:
    """Store a secret, or its next version, as a rotation does."""
    client = _client(environ, "secretsmanager")
    try:
        client.create_secret(Name=name, SecretString=text)
    except client.exceptions.ResourceExistsException:
        client.put_secret_value(SecretId=name, SecretString=text)


def store_parameter(environ: Mapping[str, str], name: str, text: str) -> None:
    """Store a SecureString."""
    _client(environ, "ssm").put_parameter(Name=name, Value=text, Type="SecureString", Overwrite=True)


def _client(environ: Mapping[str, str], service: str) -> Any:  # noqa: ANN401 - boto3 makes its classes at run time
    return boto3.session.Session("testing", "testing", region_name=REGION).client(
        service, endpoint_url=environ["AWS_ENDPOINT_URL"]
    )
