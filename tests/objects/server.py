"""An S3 server for the tests: moto, by HTTPS, with signatures checked.

    server.py CERTIFICATE KEY

Prints a line of JSON (port, access_key, secret_key). Then each line of standard input is a command, which is answered by a line
of JSON; see Commands. The server ends when standard input is closed.

Keys of objects that contain one of these words make it fail on purpose:

    -slow-    each request takes 200 ms
    -cut-     the first answer with the object ends in the middle
    -busy-    the first two requests of each kind are answered 503
    -lossy-   the first byte of the object is changed when it is stored
"""

import base64
import collections
import hashlib
import io
import json
import logging
import os
import sys
import threading
import time

os.environ["MOTO_S3_DEFAULT_MAX_KEYS"] = "10"  # so that lists have many pages

from moto import settings
from moto.core import DEFAULT_ACCOUNT_ID
from moto.iam.models import iam_backends
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


class Faults:
    """Counts requests, and fails on purpose."""

    def __init__(self, application):
        self.application = application
        self.requests = collections.Counter()
        self.lock = threading.Lock()

    def __call__(self, environ, start_response):
        path, method = environ["PATH_INFO"], environ["REQUEST_METHOD"]
        # The other client is left alone, and not counted.
        if "Boto3" in environ.get("HTTP_USER_AGENT", ""):
            return self.application(environ, start_response)
        with self.lock:
            self.requests[method, path] += 1
            number = self.requests[method, path]
        if "-slow-" in path:
            time.sleep(0.2)
        if "-busy-" in path and number <= 2:
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            start_response("503 Slow Down", [("Content-Length", "0")])
            return [b""]
        if "-lossy-" in path and method == "PUT":
            return self.store_wrongly(environ, start_response)
        answer = self.application(environ, start_response)
        if "-cut-" in path and method == "GET" and number == 1:
            return cut(answer)
        return answer

    def store_wrongly(self, environ, start_response):
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        environ["wsgi.input"] = io.BytesIO(bytes([body[0] ^ 1]) + body[1:])
        # The signature is that of the bytes that were sent.
        settings.INITIAL_NO_AUTH_ACTION_COUNT = float("inf")
        try:
            return list(self.application(environ, start_response))
        finally:
            settings.INITIAL_NO_AUTH_ACTION_COUNT = 0


def cut(answer):
    """The first half of the bytes; then the connection is closed."""
    body = b"".join(answer)
    yield body[: len(body) // 2]
    raise ConnectionAbortedError


class Commands:
    """What the tests ask for, by another client (boto3)."""

    def __init__(self, port, keys, certificate, faults):
        import boto3
        from botocore.config import Config

        self.faults = faults
        self.client = boto3.client(
            "s3",
            endpoint_url=f"https://127.0.0.1:{port}",
            aws_access_key_id=keys["access_key"],
            aws_secret_access_key=keys["secret_key"],
            region_name="us-east-1",
            verify=certificate,
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 5}),
        )

    def create(self, bucket):
        self.client.create_bucket(Bucket=bucket)

    def put(self, bucket, key, body="", attributes=None):
        """`attributes` are boto3's: ContentType, Metadata and others."""
        self.client.put_object(Bucket=bucket, Key=key, Body=base64.b64decode(body), **(attributes or {}))

    def fill(self, bucket, prefix, number, size):
        """Objects PREFIX0, PREFIX1 ..., each of these bytes of its own."""
        for at in range(number):
            body = hashlib.sha256(f"{prefix}{at}".encode()).digest() * (size // 32 + 1)
            self.client.put_object(Bucket=bucket, Key=f"{prefix}{at}", Body=body[:size])

    def delete(self, bucket, key):
        self.client.delete_object(Bucket=bucket, Key=key)

    def objects(self, bucket):
        """All objects, with their size, SHA-256 and attributes; null if there is no such bucket."""
        try:
            pages = list(self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket))
        except self.client.exceptions.NoSuchBucket:
            return None
        found = {}
        for listed in (one for page in pages for one in page.get("Contents", [])):
            object = self.client.get_object(Bucket=bucket, Key=listed["Key"])
            body = object["Body"].read()
            found[listed["Key"]] = {
                "size": len(body),
                "sha256": hashlib.sha256(body).hexdigest(),
                "type": object.get("ContentType"),
                "encoding": object.get("ContentEncoding"),
                "cache": object.get("CacheControl"),
                "metadata": object["Metadata"],
            }
        return found

    def keys(self, bucket):
        """The keys of all objects; none if there is no such bucket."""
        try:
            pages = list(self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket))
        except self.client.exceptions.NoSuchBucket:
            return []
        return [listed["Key"] for page in pages for listed in page.get("Contents", [])]

    def clear(self, bucket):
        """Deletes the bucket and its objects."""
        for key in self.keys(bucket):
            self.client.delete_object(Bucket=bucket, Key=key)
        self.client.delete_bucket(Bucket=bucket)

    def requests(self, method):
        """How many requests there were since the last question, by path."""
        with self.faults.lock:
            counted = {path: number for (one, path), number in self.faults.requests.items() if one == method}
            self.faults.requests.clear()
        return counted


def user():
    """The keys of a user who may do everything."""
    backend = iam_backends[DEFAULT_ACCOUNT_ID]["aws"]
    backend.create_user("us-east-1", "pgmig")
    backend.put_user_policy("pgmig", "everything", json.dumps(EVERYTHING))
    key = backend.create_access_key("pgmig")
    return {"access_key": key.access_key_id, "secret_key": key.secret_access_key}


def main():
    certificate, private_key = sys.argv[1:]
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    keys = user()
    settings.INITIAL_NO_AUTH_ACTION_COUNT = 0
    faults = Faults(DomainDispatcherApplication(create_backend_app))
    server = make_server(
        "127.0.0.1", 0, faults, threaded=True, request_handler=MotoRequestHandler, ssl_context=(certificate, private_key)
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(json.dumps({"port": server.server_port, **keys}), flush=True)
    # The certificate's file also has that of its CA.
    commands = Commands(server.server_port, keys, certificate, faults)
    for line in sys.stdin:
        arguments = json.loads(line)
        answer = getattr(commands, arguments.pop("do"))(**arguments)
        print(json.dumps(answer), flush=True)
    os._exit(0)  # threads may wait


main()
