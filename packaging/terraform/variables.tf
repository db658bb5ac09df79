# As the parameters of the CloudFormation template beside this. The defaults are those of playbooks/background-removal.yaml.

variable "playbook" {
  type        = string
  default     = "background-removal"
  description = "`name` in the playbook: the dimension of its metrics"
}

variable "group" {
  type        = string
  default     = "IaC-Prod"
  description = "`lifecycle.group`"
}

variable "hook" {
  type        = string
  default     = "lifecycle-hook"
  description = "`lifecycle.hook`"
}

variable "hook_timeout" {
  type        = number
  default     = 450
  description = "`lifecycle.timeout` in seconds, above `deadline`"
}

variable "log_group" {
  type        = string
  default     = "/aws/ec2/background-removal"
  description = "`logs.group`"
}

variable "log_retention" {
  type        = number
  default     = 7
  description = "`logs.retention` in days"
}

variable "image" {
  type        = string
  description = "The image's id"
}

variable "instance_type" {
  type        = string
  default     = "t3.small"
  description = "An instance type of the image's architecture"
}

variable "subnets" {
  type        = list(string)
  description = "Where instances run; they must reach AWS, package mirrors and git"
}

variable "security_groups" {
  type        = list(string)
  description = "What they may be reached by"
}

variable "target_groups" {
  type        = list(string)
  default     = []
  description = "ARNs of the load balancer's target groups; none for no load balancer"
}

variable "min_size" {
  type        = number
  default     = 1
  description = "The least instances"
}

variable "max_size" {
  type        = number
  default     = 4
  description = "The most instances"
}

variable "systems_manager" {
  type        = bool
  default     = true
  description = "Whether Systems Manager may run commands"
}

variable "alarm_topic" {
  type        = string
  default     = ""
  description = "ARN of the SNS topic that hears of alarms; none for none"
}

variable "slow_bootstrap" {
  type        = number
  default     = 300
  description = "A bootstrap that takes longer than so many seconds is an alarm"
}
