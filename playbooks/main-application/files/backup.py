"""Dumps a PostgreSQL database into S3 and removes the dumps that are too old.

    backup.py DATABASE s3://BUCKET/PREFIX/ DAYS

Who may do it is the instance's role. The dump goes from `pg_dump` to S3 as it comes and touches no disk; one that was cut
short never becomes an object. Old dumps go only after a new one is there. To restore one:

    aws s3 cp s3://BUCKET/PREFIX/NAME.dump - | pg_restore --dbname EMPTY_DATABASE
"""

import io
import subprocess
import sys
from datetime import datetime, timedelta, timezone

import boto3


class Dump(io.RawIOBase):
    """What `pg_dump` writes. Its end is an error unless `pg_dump` says that it was the end."""

    def __init__(self, database):
        self._process = subprocess.Popen(["pg_dump", "--format=custom", database], stdout=subprocess.PIPE)
        self.size = 0

    def readable(self):
        return True

    def read(self, size=-1):
        piece = self._process.stdout.read(size)
        self.size += len(piece)
        if not piece and self._process.wait() != 0:
            raise OSError(f"pg_dump ended with {self._process.returncode}: nothing is kept of this dump")
        return piece


def main(database, destination, days):
    bucket, _, prefix = destination.removeprefix("s3://").partition("/")
    now = datetime.now(timezone.utc)
    s3 = boto3.client("s3")

    # With its fraction: two dumps of one second are two.
    key = f"{prefix}{database}-{now:%Y%m%dT%H%M%S.%fZ}.dump"
    dump = Dump(database)
    s3.upload_fileobj(dump, bucket, key, ExtraArgs={"ServerSideEncryption": "AES256"})
    print(f"{dump.size} bytes are at s3://{bucket}/{key}")

    oldest = now - timedelta(days=int(days))
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}{database}-"):
        for found in page.get("Contents", []):
            # S3 counts whole seconds, so the newest may look older than it is.
            if found["Key"] != key and found["LastModified"] < oldest:
                s3.delete_object(Bucket=bucket, Key=found["Key"])
                print(f"removed s3://{bucket}/{found['Key']}, which is older than {days} days")


if __name__ == "__main__":
    main(*sys.argv[1:])
