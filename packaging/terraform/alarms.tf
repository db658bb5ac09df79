# What the agent's metrics are watched for. They come out of log lines in the embedded metric format; no call is made for them.

locals {
  of_playbook = { Playbook = var.playbook }
  of_logs     = { LogGroup = var.log_group }

  alarms = {
    steps-fail = {
      description = "A step of the playbook failed on an instance; its failure record is in the log group"
      metric      = "StepFailures"
      dimensions  = local.of_playbook
      statistic   = "Sum"
      period      = 300
      periods     = 1
      of_them     = 1
      threshold   = 0
    }
    bootstrap-is-slow = {
      description = "An instance took long to bootstrap; `agent explain` on it says why"
      metric      = "BootstrapDuration"
      dimensions  = local.of_playbook
      statistic   = "Maximum"
      period      = 300
      periods     = 1
      of_them     = 1
      threshold   = var.slow_bootstrap * 1000
    }
    instances-drift = {
      description = "Somebody changes instances by hand; the timer's runs found differences in two of three hours"
      metric      = "Drift"
      dimensions  = local.of_playbook
      statistic   = "Maximum"
      period      = 3600
      periods     = 3
      of_them     = 2
      threshold   = 0
    }
    logs-are-late = {
      description = "An instance has lines that nobody has seen for a quarter of an hour"
      metric      = "LogOldestUnshippedAge"
      dimensions  = local.of_logs
      statistic   = "Maximum"
      period      = 60
      periods     = 3
      of_them     = 3
      threshold   = 900
    }
    logs-are-lost = {
      description = "Lines were dropped before they could be shipped; the shipper's own stream says why"
      metric      = "LogDropped"
      dimensions  = local.of_logs
      statistic   = "Sum"
      period      = 300
      periods     = 1
      of_them     = 1
      threshold   = 0
    }
  }
}
