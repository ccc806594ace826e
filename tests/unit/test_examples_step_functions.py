"""examples/step_functions.asl.json: a machine that runs, and starts what `submit` would have started."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import botocore.session
from botocore.validate import ParamValidator

from pgjobs.submit.request import Submission, build_request

TEXT = (Path(__file__).parents[2] / "examples" / "step_functions.asl.json").read_text()
SUBSTITUTIONS = {
    "ApplicationId": "00fabc",
    "JobRoleArn": "arn:aws:iam::123456789012:role/jobs",
    "Release": "s3://code/code/releases/abc",
    "DataBucket": "data",
    "SecretId": "shop/loader",
    "LogsUri": "s3://logs/logs",
}
DAY = "$substringBefore($states.input.day, 'T')"


def machine() -> dict[str, Any]:
    """The machine, with what the deployer fills in."""
    text = TEXT
    for name, value in SUBSTITUTIONS.items():
        text = text.replace(f"${{{name}}}", value)
    return dict(json.loads(text))


def evaluate(value: Any, day: str) -> Any:  # noqa: ANN401 - any JSON
    """The machine's JSONata: texts and the day, joined by &."""
    if isinstance(value, dict):
        return {name: evaluate(part, day) for name, part in value.items()}
    if isinstance(value, list):
        return [evaluate(part, day) for part in value]
    expression = re.fullmatch(r"\{% (.*) %\}", value) if isinstance(value, str) else None
    if expression is None:
        return value
    parts = [repr(day) if part == DAY else part for part in expression[1].split(" & ")]
    assert all(re.fullmatch(r"'[^']*'", part) for part in parts), value
    return "".join(part[1:-1] for part in parts)


def as_the_api(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Names as the API has them: Step Functions writes their first letters large."""
    if isinstance(value, dict):
        return {name[0].lower() + name[1:]: as_the_api(part) for name, part in value.items()}
    return [as_the_api(part) for part in value] if isinstance(value, list) else value


def sent() -> Mapping[str, Any]:
    """What the machine asks of EMR Serverless for a day."""
    return dict(as_the_api(evaluate(machine()["States"]["Load"]["Arguments"], "2026-11-20")))


def test_it_starts_what_submit_would_have_started() -> None:
    submission = Submission(
        entry="load_table",
        arguments=(
            *("--source", "s3://data/orders/day=2026-11-20/", "--table", "sales.orders"),
            *("--load-id", "orders/2026-11-20", "--secret-id", "shop/loader"),
        ),
        application_id="00fabc",
        role="arn:aws:iam::123456789012:role/jobs",
        archive="s3://code/code/releases/abc/pyspark_venv.tar.gz",
        script="s3://code/code/releases/abc/load_table.py",
        logs="s3://logs/logs",
        timeout_minutes=120,
    )
    wanted = build_request(submission)
    del wanted["clientToken"]  # Step Functions makes one for each attempt
    assert sent() == wanted


def test_the_api_takes_it() -> None:
    model = botocore.session.get_session().get_service_model("emr-serverless").operation_model("StartJobRun")
    report = ParamValidator().validate({"clientToken": "x", **sent()}, model.input_shape)
    assert not report.has_errors(), report.generate_report()


def test_every_placeholder_is_a_known_one() -> None:
    assert set(re.findall(r"\$\{(\w+)\}", TEXT)) == set(SUBSTITUTIONS)


def test_its_states_lead_to_an_end() -> None:
    states = machine()["States"]
    reached, here = [], machine()["StartAt"]
    while here not in reached:
        reached.append(here)
        here = states[here].get("Next", here)
    assert set(reached) == set(states)
    assert states[here]["End"] is True


def test_it_waits_longer_than_the_run_may_take() -> None:
    load = machine()["States"]["Load"]
    assert load["Resource"].endswith(":startJobRun.sync")
    assert load["TimeoutSeconds"] > load["Arguments"]["ExecutionTimeoutMinutes"] * 60


def test_a_retried_load_has_an_id_of_its_own_day() -> None:
    """Retries are safe for that alone."""
    assert machine()["States"]["Load"]["Retry"]
    assert "--load-id" in sent()["jobDriver"]["sparkSubmit"]["entryPointArguments"]
