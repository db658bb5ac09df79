"""ANB's video worker: fetches a clip, makes it what the site shows, and puts it where the site looks for it."""

import os
import subprocess
import tempfile
from pathlib import Path

import boto3
from celery import Celery

BUCKET = os.environ["S3_BUCKET_NAME"]
LOG = Path(os.environ["FFMPEG_LOG"])
# Half a minute at most, the site's size with bars where the shape differs, and no sound that could annoy a jury.
LIKE_THE_SITE = "scale=640:360:force_original_aspect_ratio=decrease,pad=640:360:(ow-iw)/2:(oh-ih)/2,setsar=1"

app = Celery("anb", broker=os.environ["BROKER_URL"])
app.conf.task_acks_late = True
app.conf.broker_connection_retry_on_startup = True
s3 = boto3.client("s3", region_name=os.environ["AWS_DEFAULT_REGION"])


@app.task(name="anb.process")
def process(video: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        clip, shown = Path(folder, "clip"), Path(folder, "shown.mp4")
        s3.download_file(BUCKET, f"uploads/{video}", str(clip))
        argv = ["ffmpeg", "-hide_banner", "-nostdin", "-y", "-i", clip, "-t", "30", "-vf", LIKE_THE_SITE, "-an",
                "-c:v", "libx264", "-preset", "veryfast", "-movflags", "+faststart", shown]
        with LOG.open("a") as log:
            print(f"ffmpeg of video {video}", file=log, flush=True)
            subprocess.run(argv, stdout=log, stderr=log, check=True)
        s3.upload_file(str(shown), BUCKET, f"processed/{video}.mp4", ExtraArgs={"ContentType": "video/mp4"})
