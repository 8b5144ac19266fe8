"""What `airside agent discover` finds on a machine that is laid out in a folder, and what it never shows."""

import json
import threading
import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from airside.agent.discovering import airflow, cron, dbt, kubernetes, variables, writing
from airside.agent.discovering.found import Found
from airside.agent.discovering.place import Place
from airside.agent.watching import plans, schemes

SECRET = "hunter2-secret"


def place(tmp_path: Path, *, lacks: tuple[str, ...] = (), **environment: str) -> Place:
    """A machine with nothing but what the test puts there."""
    return Place(environment, tmp_path / "home", (tmp_path,), tmp_path, lambda package: package not in lacks)


def put(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


@pytest.fixture
def answering() -> Iterator[int]:
    """An address that answers as an Airflow does when it is asked for its version, on loopback."""

    class Airflow(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps({"version": "3.1.0"}).encode()
            self.send_response(200 if self.path == "/api/v2/version" else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            return

    with HTTPServer(("127.0.0.1", 0), Airflow) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_dbt_projects_are_found_with_the_kind_of_database_and_what_ran_already(tmp_path: Path) -> None:
    put(tmp_path / "repo/shop/dbt_project.yml", "name: shop\nprofile: wh\n")
    put(tmp_path / "repo/shop/target/run_results.json", "{}")
    put(tmp_path / "repo/shop/dbt_packages/x/dbt_project.yml", "name: x\n")
    put(tmp_path / "repo/.venv/y/dbt_project.yml", "name: y\n")
    output = f"{{type: snowflake, account: acme, password: {SECRET}}}"
    put(tmp_path / "home/.dbt/profiles.yml", f"wh:\n  target: prod\n  outputs:\n    prod: {output}\n")
    (found,) = dbt.find(place(tmp_path))
    folder = tmp_path / "repo/shop"
    assert (found.what, found.where) == ("project shop (snowflake)", f"{folder}/dbt_project.yml")
    assert found.follow.startswith(f"cd {folder} && airside dbt build; ")
    assert f"airside dbt import {folder}/target" in found.follow


def test_a_place_that_cannot_be_looked_at_is_passed_over(tmp_path: Path) -> None:
    assert list(dbt.find(place(tmp_path, DBT_PROJECT_DIR="x" * 5_000))) == []
    assert list(kubernetes.find(place(tmp_path, KUBECONFIG="y" * 5_000))) == []


def test_the_project_that_a_variable_names_is_found_and_one_that_cannot_be_read_does_no_harm(tmp_path: Path) -> None:
    put(tmp_path / "broken/dbt_project.yml", "name: [")
    far = put(tmp_path / "a/b/c/d/e/f/g/dbt_project.yml", "name: far\n")
    found = [one.what for one in dbt.find(place(tmp_path, DBT_PROJECT_DIR=str(far.parent)))]
    assert found == ["project broken", "project far"]


def test_an_airflow_that_answers_on_loopback_is_found_with_its_version(tmp_path: Path, answering: int) -> None:
    (found,) = airflow.find(place(tmp_path, AIRFLOW__API__PORT=str(answering), AIRSIDE_AIRFLOW_INSTANCE="prod"))
    assert found.what == f"Airflow 3.1.0 at 127.0.0.1:{answering}"
    assert found.watch["url"] == f"airflow://127.0.0.1:{answering}/?instance=prod"
    assert found.wants == "a login: `user` with `password_env`, or `token_env` alone"


def test_an_airflow_of_a_file_elsewhere_is_named_without_its_password_and_nobody_is_asked(tmp_path: Path) -> None:
    text = (
        f"[api]\nbase_url = https://me:{SECRET}@flow.example/af\n[database]\nsql_alchemy_conn = postgresql://{SECRET}\n"
    )
    file = put(tmp_path / "home/airflow/airflow.cfg", text)
    (found,) = airflow.find(place(tmp_path))
    assert (found.what, found.where) == ("Airflow at flow.example/af", str(file))
    assert found.watch["url"] == "airflows://flow.example/af/?instance=airflow"
    assert "that it answers there" in found.wants


def test_without_a_trace_of_airflow_there_is_none(tmp_path: Path) -> None:
    assert list(airflow.find(place(tmp_path, AIRFLOW_HOME=str(tmp_path)))) == []


def test_cron_jobs_are_named_by_their_program_alone(tmp_path: Path) -> None:
    lines = (
        "# comment",
        f"TOKEN={SECRET}",
        f"0 6 * * mon-fri etl cd /srv && PASSWORD={SECRET} /usr/bin/python3 jobs/load.py --token {SECRET}",
        f"@daily root curl -H 'Authorization: {SECRET}' https://x.example",
        f"*/5 * * * * root echo '{SECRET}",
        "17 * * * * root cd / && run-parts --report /etc/cron.hourly",
    )
    file = put(tmp_path / "etc/cron.d/etl", "\n".join(lines))
    put(tmp_path / "bin/crontab", '#!/bin/sh\necho "15 1 * * * ~/bin/backup.sh"\n').chmod(0o755)
    found = list(cron.find(place(tmp_path, PATH=str(tmp_path / "bin"))))
    assert [(one.what, one.where) for one in found] == [
        ("15 1 * * *  backup.sh", "crontab -l:1"),
        ("0 6 * * mon-fri  load.py", f"{file}:3"),
        ("@daily  curl", f"{file}:4"),
        ("*/5 * * * *  a command", f"{file}:5"),
    ]
    assert found[1].follow.endswith("&& airside events emit job.completed --resource job://cron/load.py")


def test_databases_and_buckets_are_found_among_the_variables(tmp_path: Path) -> None:
    here = place(
        tmp_path,
        lacks=("gcsfs",),
        WAREHOUSE_URL=f"postgresql+psycopg://reader:{SECRET}/x@db.example/shop",
        OLD_URL=f"postgres://reader:{SECRET}@db.example/shop",
        RAW=f"s3://lake/raw?key={SECRET}",
        AZURE="abfss://code@account.dfs.core.windows.net/etl/",
        GCS_BUCKET="my-lake",
        S3_TOKEN_URL=f"s3://{SECRET}/x",
        LOGIN=f"s3://me:{SECRET}@lake/x",
        PREFECT_API_URL="http://127.0.0.1:4200/api",
        AIRSIDE_URL="postgresql://not-this",
        TEXT="no address",
    )
    found = {one.where: one for one in variables.find(here)}
    assert set(found) == {"$WAREHOUSE_URL", "$OLD_URL", "$RAW", "$AZURE", "$GCS_BUCKET", "$PREFECT_API_URL"}
    assert found["$WAREHOUSE_URL"].watch["url"] == "sql+env://WAREHOUSE_URL?table=SCHEMA.TABLE"
    assert "postgresql://" in found["$OLD_URL"].wants
    assert (found["$RAW"].watch["url"], found["$RAW"].wants) == ("s3://lake/raw/#from=now", "")
    assert (found["$GCS_BUCKET"].what, found["$GCS_BUCKET"].wants) == ("gs://my-lake/", "pip install 'airside[gs]'")
    assert found["$PREFECT_API_URL"].watch["url"] == "prefect://127.0.0.1:4200/api"


def test_the_context_of_a_kubeconfig_is_found_and_of_its_users_nothing(tmp_path: Path) -> None:
    config = f"""
current-context: arn:aws:eks:eu:1:cluster/prod
contexts:
  - {{name: "arn:aws:eks:eu:1:cluster/prod", context: {{cluster: c, user: u, namespace: data}}}}
users:
  - {{name: u, user: {{token: {SECRET}}}}}
"""
    file = put(tmp_path / "config.yaml", config)
    (found,) = kubernetes.find(place(tmp_path, KUBECONFIG=str(file)))
    assert found.what == "cluster prod, namespace data"
    context = "context=arn%3Aaws%3Aeks%3Aeu%3A1%3Acluster%2Fprod"
    assert found.watch["url"] == f"k8s://prod/data?type=Warning&from=now&{context}"
    assert list(kubernetes.find(place(tmp_path))) == []


def test_inside_a_cluster_its_service_account_is_what_is_followed(tmp_path: Path) -> None:
    account = tmp_path / "var/run/secrets/kubernetes.io/serviceaccount"
    put(account / "token", SECRET)
    put(account / "namespace", "etl\n")
    (found,) = kubernetes.find(place(tmp_path, lacks=("kubernetes_asyncio",), KUBERNETES_SERVICE_HOST="10.0.0.1"))
    assert found.watch["url"] == "k8s://cluster/etl?type=Warning&from=now"
    assert found.wants == "pip install 'airside[kubernetes]'"


def test_the_file_holds_what_can_run_and_tells_what_the_rest_wants(tmp_path: Path) -> None:
    put(tmp_path / "etc/crontab", "0 6 * * * root load.py\n")
    config = "current-context: a\ncontexts: [{name: a, context: {}}]\n"
    put(tmp_path / "home/.kube/config", config)
    here = place(
        tmp_path,
        RAW="s3://lake/raw",
        raw="s3://lake/other",
        DB_URL=f"mysql://u:{SECRET}@h/d",
        PREFECT_API_URL="http://127.0.0.1:4200/api",
    )
    found = [one for finder in (variables, kubernetes, cron, airflow) for one in finder.find(here)]
    text = writing.to_toml(found, "watchers.toml")
    file = put(tmp_path / "watchers.toml", text)
    assert SECRET not in text + json.dumps([one.to_dict() for one in found])
    tables = {table["name"]: table["url"] for table in tomllib.loads(text)["watch"]}
    assert set(tables) == {"raw", "raw-2", "prefect", "k8s-a"}
    for plan in plans.of_file(file, {}):  # each is as the agent takes it
        assert schemes.open_watcher(plan.url, plan.options).name
    assert "# It wants the table to look at, in place of SCHEMA.TABLE." in text
    assert '# url = "sql+env://DB_URL?table=SCHEMA.TABLE"' in text
    assert "# cron: 0 6 * * *  load.py" in text


def test_what_names_hold_stays_on_its_line() -> None:
    evil = Found("dbt", "project x\n[[watch]]\nurl = 'file:///'", "r", "f\nx = 1", "follow\ny = 2")
    bucket = Found("bucket", "b\nz = 1", "r", "v", "w", {"name": "a", "url": 's3://x"\n[[watch]]/'}, "this\nq = 1")
    assert tomllib.loads(writing.to_toml([evil, bucket], "w\nw = 1")) == {}
