"""infra/template.yaml: what exists already, settings of the application, the state machine and its schedule."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from itertools import product
from typing import Any

import botocore.session
import pytest
from aws_calls import ACCOUNT, REGION, Call, asked
from botocore.validate import ParamValidator
from emr_runs import APPLICATION, ROLE, RUN
from iam import applies, grants, is_allowed
from our_stack import EVERYTHING, EXISTING, NAMES, NETWORK, STACK, TEMPLATE, Stack
from stack import outputs

from pgjobs.submit.request import Submission, build_request

RELEASE = EVERYTHING["ReleaseUri"]


def kinds(parameters: Mapping[str, str]) -> set[str]:
    return {body["Type"].partition("::")[2] for body in Stack(parameters).resources.values()}


@pytest.mark.parametrize("given", list(product([True, False], repeat=len(EXISTING))))
@pytest.mark.parametrize("others", [NETWORK, EVERYTHING])
def test_any_of_what_exists_is_used_in_place_of_a_new_one(others: Mapping[str, str], given: tuple[bool, ...]) -> None:
    """A reference to what is not made would be a KeyError here."""
    existing = {name: value for (name, value), is_given in zip(EXISTING.items(), given) if is_given}
    parameters = {**others, **existing}
    made = Stack(parameters).resources
    assert ("Application" in made, "JobRole" in made) == (not given[0], not given[2])
    assert ("CodeBucket" in made, "CodeBucketPolicy" in made) == (not given[3], not given[3])
    assert ("LogBucket" in made, "LogBucketPolicy" in made) == (not given[4], not given[4])
    assert ("ApplicationSecurityGroup" in made) == (not given[0] and not given[1])
    assert given[2] <= ("AWS::IAM::RolePolicy" not in {body["Type"] for body in made.values()})
    shown = outputs(TEMPLATE, parameters, NAMES)
    assert (shown["ApplicationId"], shown["JobRoleArn"]) == (APPLICATION, ROLE)
    assert (shown["CodeUri"], shown["LogsUri"]) == ("s3://code-bucket/code", "s3://logs-bucket/logs")


def test_submitters_may_do_the_same_with_what_exists() -> None:
    assert Stack({**EVERYTHING, **EXISTING}).submitter == STACK.submitter


@pytest.mark.parametrize(
    ("existing", "admitted"),
    [
        ({}, "ApplicationSecurityGroup"),
        ({"ExistingSecurityGroupId": "sg-2"}, "sg-2"),
        ({"ExistingApplicationId": APPLICATION, "ExistingSecurityGroupId": "sg-2"}, "sg-2"),
        ({"ExistingApplicationId": APPLICATION}, None),
    ],
)
def test_the_database_admits_the_workers_group_if_it_is_known(existing: dict[str, str], admitted: str | None) -> None:
    ingress = Stack({**NETWORK, **existing}).resources.get("DatabaseIngress")
    assert (ingress and ingress["Properties"]["SourceSecurityGroupId"]) == admitted


def as_the_api(value: Any) -> Any:  # noqa: ANN401 - any part of a template
    """Names as the API has them: CloudFormation writes their first letters large."""
    if isinstance(value, dict):
        kept = {name: part for name, part in value.items() if name != "Properties"}
        named = {name[0].lower() + name[1:]: as_the_api(part) for name, part in kept.items()}
        return {**named, **({"properties": value["Properties"]} if "Properties" in value else {})}
    return [as_the_api(part) for part in value] if isinstance(value, list) else value


def application(**parameters: str) -> dict[str, Any]:
    """The application as CreateApplication is asked for it. CloudFormation's lists of pairs are the API's maps."""
    wanted = dict(as_the_api(Stack({**NETWORK, **parameters}).resources["Application"]["Properties"]))
    wanted["tags"] = {tag["key"]: tag["value"] for tag in wanted["tags"]}
    if "initialCapacity" in wanted:
        pairs = {pair["key"]: pair["value"] for pair in wanted["initialCapacity"]}
        for pair in pairs.values():
            pair["workerCount"] = int(pair["workerCount"])
        wanted["initialCapacity"] = pairs
    wanted["autoStopConfiguration"]["idleTimeoutMinutes"] = int(wanted["autoStopConfiguration"]["idleTimeoutMinutes"])
    wanted["schedulerConfiguration"] = {name: int(number) for name, number in wanted["schedulerConfiguration"].items()}
    model = botocore.session.get_session().get_service_model("emr-serverless").operation_model("CreateApplication")
    report = ParamValidator().validate({"clientToken": "x", **wanted}, model.input_shape)
    assert not report.has_errors(), report.generate_report()
    return wanted


def test_an_application_has_what_is_asked_for_and_costs_nothing_while_it_waits_by_default() -> None:
    plain = application()
    assert plain["schedulerConfiguration"] == {"maxConcurrentRuns": 15, "queueTimeoutMinutes": 360}
    assert not {"initialCapacity", "imageConfiguration", "runtimeConfiguration"} & set(plain)
    image = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/jobs:1"
    asked_for = application(InitialExecutors="3", MaximumRuns="2", ImageUri=image)
    assert asked_for["initialCapacity"] == {
        "Executor": {"workerCount": 3, "workerConfiguration": {"cpu": "4 vCPU", "memory": "16 GB"}}
    }
    assert asked_for["imageConfiguration"] == {"imageUri": image}
    assert asked_for["schedulerConfiguration"]["maxConcurrentRuns"] == 2
    assert set(application(InitialDrivers="1", InitialExecutors="1")["initialCapacity"]) == {"Driver", "Executor"}


def test_glues_catalog_and_iceberg_are_configured_on_request() -> None:
    [glue] = application(GlueDatabase="lake")["runtimeConfiguration"]
    assert glue["properties"]["spark.sql.catalogImplementation"] == "hive"
    assert not [key for key in glue["properties"] if "catalog.glue" in key or key == "spark.jars"]
    jar = "/usr/share/aws/iceberg/lib/iceberg-spark3-runtime.jar"
    [iceberg] = application(GlueDatabase="lake", IcebergJar=jar, DataBucket="data")["runtimeConfiguration"]
    assert iceberg["properties"]["spark.jars"] == jar
    assert iceberg["properties"]["spark.sql.catalog.glue"] == "org.apache.iceberg.spark.SparkCatalog"
    assert iceberg["properties"]["spark.sql.catalog.glue.warehouse"] == "s3://data"


def test_neither_a_machine_nor_a_schedule_is_made_unasked() -> None:
    assert not {"StepFunctions::StateMachine", "Scheduler::Schedule"} & kinds(NETWORK)
    assert "Scheduler::Schedule" not in kinds({**NETWORK, "ReleaseUri": RELEASE})
    assert {"StepFunctions::StateMachine", "Scheduler::Schedule"} <= kinds(EVERYTHING)


ARGUMENTS = ("--source", "s3://data/orders/day={day}/", "--table", "sales.orders", "--load-id", "orders/{day}")
INPUT = {"job": "load_table", "day": "2026-11-20T02:00:00Z", "arguments": list(ARGUMENTS)}


def evaluated(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """The machine's JSONata for this input: its three expressions, and no others."""
    if isinstance(value, dict):
        return {name: evaluated(part) for name, part in value.items()}
    found = re.fullmatch(r"\{% (.*) %\}", value) if isinstance(value, str) else None
    if found is None:
        return value
    joined = re.fullmatch(r"'([^']*)' & \$states\.input\.job & '([^']*)'", found[1])
    if joined:
        return f"{joined[1]}{INPUT['job']}{joined[2]}"
    day = "$substringBefore($states.input.day, 'T')"
    replaced = re.fullmatch(rf"\[\$states\.input\.arguments\.\$replace\(\$, '([^']*)', {re.escape(day)}\)\]", found[1])
    if replaced:
        return [text.replace(replaced[1], str(INPUT["day"]).partition("T")[0]) for text in INPUT["arguments"]]
    assert found[1] == "$states.input.job", found[1]
    return INPUT["job"]


def machine(parameters: Mapping[str, str]) -> dict[str, Any]:
    properties = Stack(parameters).resources["StateMachine"]["Properties"]
    names = properties["DefinitionSubstitutions"]
    text = re.sub(r"\$\{(\w+)\}", lambda found: str(names[found[1]]), properties["DefinitionString"])
    return dict(json.loads(text))


@pytest.mark.parametrize("parameters", [EVERYTHING, {**EVERYTHING, **EXISTING}])
def test_the_machine_starts_what_submit_would_have_started(parameters: Mapping[str, str]) -> None:
    wanted = build_request(
        Submission(
            entry="load_table",
            arguments=tuple(text.replace("{day}", "2026-11-20") for text in ARGUMENTS),
            application_id=APPLICATION,
            role=ROLE,
            archive=f"{RELEASE}/pyspark_venv.tar.gz",
            script=f"{RELEASE}/load_table.py",
            logs="s3://logs-bucket/logs",
        )
    )
    del wanted["clientToken"]  # Step Functions makes one
    run = machine(parameters)["States"]["Run"]
    assert as_the_api(evaluated(run["Arguments"])) == wanted
    assert run["Resource"].endswith(":startJobRun.sync")
    queued = int(TEMPLATE["Parameters"]["QueueMinutes"]["MaxValue"])
    assert run["TimeoutSeconds"] > (wanted["executionTimeoutMinutes"] + queued) * 60


def test_the_machine_may_run_jobs_and_nothing_else() -> None:
    """https://docs.aws.amazon.com/step-functions/latest/dg/emr-serverless-iam.html."""
    of_run = {"applicationId": APPLICATION, "jobRunId": RUN}
    calls = [
        Call("emr-serverless", "StartJobRun", {"applicationId": APPLICATION, "executionRoleArn": ROLE}),
        *(Call("emr-serverless", operation, of_run) for operation in ("GetJobRun", "CancelJobRun")),
    ]
    requests = [request for call in calls for request in asked(call)]
    assert [request for request in requests if not is_allowed(request, STACK.machine)] == []
    unused = [one for one in grants(STACK.machine) if not any(applies(one, request) for request in requests)]
    rule = f"arn:aws:events:{REGION}:{ACCOUNT}:rule/StepFunctionsGetEventsForEMRServerlessJobRule"
    assert {(one["Action"], one["Resource"]) for one in unused} == {
        (f"events:{action}", rule) for action in ("PutTargets", "PutRule", "DescribeRule")
    }


def test_the_schedule_may_start_the_machine_and_nothing_else() -> None:
    target = STACK.resources["Schedule"]["Properties"]["Target"]
    assert [(one["Action"], one["Resource"]) for one in STACK.schedule] == [("states:StartExecution", target["Arn"])]
    assert target["RoleArn"] == NAMES["ScheduleRole.Arn"]


def test_the_input_in_the_parameters_description_is_one_for_the_machine() -> None:
    text = TEMPLATE["Parameters"]["ScheduleInput"]["Description"]
    example = json.loads(text[text.index('{"job"') :])
    assert set(example) == set(INPUT)
    assert example["arguments"][: len(ARGUMENTS)] == list(ARGUMENTS)


@pytest.mark.parametrize(
    ("parameter", "good", "bad"),
    [
        ("ReleaseUri", ["", RELEASE, RELEASE.replace("/code/", "/")], [f"{RELEASE}/", "s3://b/code", "b"]),
        ("ScheduleExpression", ["", "cron(0 2 * * ? *)", "rate(1 day)"], ["0 2 * * *"]),
        ("ImageUri", ["", f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/a/b:1"], ["docker.io/x:1", "x"]),
        ("IcebergJar", ["", "/usr/share/x.jar", "s3://b/x.jar"], ["x.jar", "/a.jar,/b.jar"]),
        ("GlueDatabase", ["", "lake_1"], ["lake.*", "*"]),
        ("ExistingApplicationId", ["", "00f1abc"], ["arn:aws:x"]),
        ("ExistingJobRoleArn", ["", ROLE], ["jobs", "arn:aws:iam::123456789012:role/*"]),
    ],
)
def test_options_that_cannot_be_right_are_refused(parameter: str, good: list[str], bad: list[str]) -> None:
    pattern = TEMPLATE["Parameters"][parameter]["AllowedPattern"]
    assert [text for text in [*good, *bad] if re.fullmatch(pattern, text)] == good
