"""Whether an endpoint of AWS answers, and what is told if it does not."""

from __future__ import annotations

import socket
from collections.abc import Mapping

import pytest
from cloud import REGION

from jobs.aws import clients
from jobs.aws.endpoints import Reached, reach
from jobs.aws.errors import AwsUnavailable

Environ = Mapping[str, str]


def test_an_endpoint_that_answers_is_told_with_its_kind_of_address(aws: Environ) -> None:
    assert aws["AWS_ENDPOINT_URL"].startswith("http://127.0.0.1")
    assert str(reach("secretsmanager", REGION)) == ("127.0.0.1 answers at 127.0.0.1 (private: an interface endpoint)")
    assert str(Reached("ssm.eu-west-1.amazonaws.com", "52.94.1.1")).endswith("answers at 52.94.1.1 (public)")


@pytest.mark.usefixtures("aws")
def test_an_endpoint_that_does_not_answer_is_told_with_what_the_vpc_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{free.getsockname()[1]}")
        clients.client.cache_clear()
        with pytest.raises(AwsUnavailable, match=r"ssm, .* does not answer: Connection refused") as caught:
            reach("ssm", REGION)
    assert f"com.amazonaws.{REGION}.ssm" in caught.value.hint


def test_a_proxy_is_what_must_answer(aws: Environ, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = aws["AWS_ENDPOINT_URL"].removeprefix("http://")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://secretsmanager.eu-west-1.amazonaws.com")
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    clients.client.cache_clear()
    assert str(reach("secretsmanager", REGION)) == f"secretsmanager.eu-west-1.amazonaws.com, by the proxy {proxy}"
