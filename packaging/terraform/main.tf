# An Auto Scaling group whose instances bootstrap themselves: launch template, launch hook, role, logs, alarms.
#
#     agent user-data playbooks/background-removal.yaml --at s3://BUCKET/background-removal.yaml --binary s3://BUCKET/agent \
#         --set environment=prod > packaging/terraform/user-data.sh
#     agent iam-policy playbooks/background-removal.yaml --at s3://BUCKET/background-removal.yaml --binary s3://BUCKET/agent \
#         --set environment=prod > packaging/terraform/policy.json
#     terraform apply -var 'subnets=["subnet-1"]' -var 'security_groups=["sg-1"]' -var image=ami-1
#
# The defaults are those of playbooks/background-removal.yaml; what another playbook says of group, hook and logs has to be said here too.
# Its parameters have to be there before, and are not made here, because what Terraform makes is in its state for everybody to read:
# `aws ssm put-parameter --type SecureString --name … --value file://…`.
#
# Checked as far as it can be without Terraform's registry: it parses as HCL 2, every reference has a declaration, and what it says is what
# the CloudFormation template beside it says, which is deployed in the tests (tests/lab/test_infrastructure.py). `terraform validate` has
# not been run on it.

terraform {
  required_version = ">= 1.3"
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

data "aws_caller_identity" "this" {}
data "aws_region" "this" {}

locals {
  # The agent's placeholders are CloudFormation's.
  policy = replace(
    replace(file("${path.module}/policy.json"), "$${AWS::AccountId}", data.aws_caller_identity.this.account_id),
    "$${AWS::Region}", data.aws_region.this.name
  )
  actions = var.alarm_topic == "" ? [] : [var.alarm_topic]
}

# Made here, so that no instance has to, and its retention is right from the first line on.
resource "aws_cloudwatch_log_group" "logs" {
  name              = var.log_group
  retention_in_days = var.log_retention
  skip_destroy      = true
}

resource "aws_iam_role" "instance" {
  name_prefix = "${var.playbook}-"
  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [{ Effect = "Allow", Principal = { Service = "ec2.amazonaws.com" }, Action = "sts:AssumeRole" }]
  })
}

resource "aws_iam_role_policy_attachment" "systems_manager" {
  count      = var.systems_manager ? 1 : 0
  role       = aws_iam_role.instance.name
  policy_arn = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
}

# What `agent iam-policy` prints. What the application asks AWS for is its own, in a policy of its own.
resource "aws_iam_role_policy" "agent" {
  name   = "bootstrap-agent"
  role   = aws_iam_role.instance.id
  policy = local.policy
}

resource "aws_iam_instance_profile" "instance" {
  name_prefix = "${var.playbook}-"
  role        = aws_iam_role.instance.name
}

resource "aws_launch_template" "instance" {
  name_prefix            = "${var.playbook}-"
  image_id               = var.image
  instance_type          = var.instance_type
  vpc_security_group_ids = var.security_groups
  user_data              = base64encode(file("${path.module}/user-data.sh"))

  iam_instance_profile {
    arn = aws_iam_instance_profile.instance.arn
  }

  # Version 2 only, and not from a container's network; playbooks may ask for `instance.tags`.
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
    instance_metadata_tags      = "enabled"
  }
}

resource "aws_autoscaling_group" "group" {
  name                      = var.group
  min_size                  = var.min_size
  max_size                  = var.max_size
  vpc_zone_identifier       = var.subnets
  target_group_arns         = var.target_groups
  health_check_type         = length(var.target_groups) > 0 ? "ELB" : "EC2"
  # Counted from `InService` on, when the playbook's own health check has passed.
  health_check_grace_period = 60
  # Terraform would wait for the instances by itself otherwise, and for shorter than the hook does.
  wait_for_capacity_timeout = "${var.hook_timeout * 2}s"

  launch_template {
    id      = aws_launch_template.instance.id
    version = aws_launch_template.instance.latest_version
  }

  # With the group, not as a resource of its own: an instance that is launched before its hook exists goes into service as it is.
  initial_lifecycle_hook {
    name                 = var.hook
    lifecycle_transition = "autoscaling:EC2_INSTANCE_LAUNCHING"
    heartbeat_timeout    = var.hook_timeout
    # Who says nothing has not bootstrapped.
    default_result       = "ABANDON"
  }

  instance_refresh {
    strategy = "Rolling"
    preferences {
      min_healthy_percentage = 100
      max_healthy_percentage = 110
      auto_rollback          = true
    }
  }

  tag {
    key                 = "Name"
    value               = var.playbook
    propagate_at_launch = true
  }

  # An instance that starts before its role has its policy is denied everything.
  depends_on = [aws_iam_role_policy.agent, aws_cloudwatch_log_group.logs]
}

resource "aws_cloudwatch_metric_alarm" "alarm" {
  for_each            = local.alarms
  alarm_name          = "${var.playbook}-${each.key}"
  alarm_description   = each.value.description
  namespace           = "BootstrapAgent"
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = each.value.statistic
  period              = each.value.period
  evaluation_periods  = each.value.periods
  datapoints_to_alarm = each.value.of_them
  comparison_operator = "GreaterThanThreshold"
  threshold           = each.value.threshold
  treat_missing_data  = "notBreaching"
  alarm_actions       = local.actions
}

output "group" {
  description = "The Auto Scaling group"
  value       = aws_autoscaling_group.group.name
}

output "role" {
  description = "Its instances' role, for the application's own policy"
  value       = aws_iam_role.instance.name
}
