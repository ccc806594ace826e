"""Whether an AWS service can be reached from here: a connection to its endpoint, without any request."""

from __future__ import annotations

import socket
from contextlib import closing
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from jobs.aws.clients import CONNECT_TIMEOUT, client
from jobs.aws.errors import AwsRequest, AwsUnavailable, aws_errors_translated, way_to

_PORTS = {"https": 443, "http": 80}


@dataclass(frozen=True)
class Reached:
    """An endpoint that answered.

    Attributes:
        address: Its IP address. A private one is that of an interface endpoint in a VPC.
        proxy: The proxy in between; empty if there is none.
    """

    host: str
    address: str
    proxy: str = ""

    def __str__(self) -> str:
        """Return a line about it."""
        if self.proxy:
            return f"{self.host}, by the proxy {self.proxy}"
        kind = "private: an interface endpoint" if ip_address(self.address).is_private else "public"
        return f"{self.host} answers at {self.address} ({kind})"


def reach(service: str, region: str) -> Reached:
    """Connect to the endpoint of a service, or to the proxy that leads there.

    Raises:
        AwsUnavailable: It does not answer.
        AwsError: boto3 is missing, or does not know the service there.
    """
    request = AwsRequest(f"The endpoint of {service} in {region} cannot be used", service, "", region)
    with aws_errors_translated(request):
        from botocore.utils import get_environ_proxies

        url = str(client(service, region).meta.endpoint_url)
        proxy = str(get_environ_proxies(url).get(urlsplit(url).scheme, ""))
    place = urlsplit(proxy if "://" in proxy else f"http://{proxy}" if proxy else url)
    host, port = place.hostname or "", place.port or _PORTS[place.scheme]
    try:
        with closing(socket.create_connection((host, port), CONNECT_TIMEOUT)) as sock:
            address = str(sock.getpeername()[0])
    except OSError as error:
        reason = error.strerror or str(error)
        raise AwsUnavailable(
            f"The endpoint of {service}, {host}:{port}, does not answer: {reason}.", way_to(request)
        ) from None
    return Reached(urlsplit(url).hostname or "", address, f"{host}:{port}" if proxy else "")
