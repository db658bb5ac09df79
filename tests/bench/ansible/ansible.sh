#!/bin/bash
# User-data of the Ansible way: the system package manager brings pip, pip brings Ansible, Ansible brings the rest.
# The values between @ signs are filled in by the bench.
set -euo pipefail
date +%s.%N > /run/bench-begin
export DEBIAN_FRONTEND=noninteractive AWS_DEFAULT_REGION=us-east-1 HOME=/root

apt-get update -q
apt-get install -q -y python3-pip git
pip3 install --break-system-packages --quiet --disable-pip-version-check ansible-core boto3 botocore awscli

aws s3 cp --quiet 's3://@BUCKET@/ansible/playbook.yaml' /root/playbook.yaml
instance_id=$(curl -sf -X PUT -H 'X-aws-ec2-metadata-token-ttl-seconds: 300' http://169.254.169.254/latest/api/token |
  xargs -I{} curl -sf -H 'X-aws-ec2-metadata-token: {}' http://169.254.169.254/latest/meta-data/instance-id)

result=ABANDON
if ansible-playbook -i localhost, -c local /root/playbook.yaml -e bucket=@BUCKET@ -e installer=@INSTALLER@ -e instance_id="$instance_id"; then
  result=CONTINUE
fi
aws autoscaling complete-lifecycle-action --auto-scaling-group-name IaC-Prod --lifecycle-hook-name lifecycle-hook \
  --instance-id "$instance_id" --lifecycle-action-result "$result"
