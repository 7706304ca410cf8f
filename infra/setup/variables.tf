variable "region" {
  description = "The AWS region of everything here."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region must look like eu-central-1."
  }
}

variable "name" {
  description = "What the names of all resources begin with."
  type        = string
  default     = "short-link"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,12}[a-z0-9]$", var.name))
    error_message = "name must have 3 to 14 characters: lower-case letters, digits and hyphens, a letter first."
  }
}

variable "tags" {
  description = "More tags for every resource."
  type        = map(string)
  default     = {}
  nullable    = false
}

variable "vpc_cidr" {
  description = "The addresses of the network, a /16 to /20."
  type        = string
  default     = "10.40.0.0/16"
  nullable    = false

  validation {
    condition     = can(cidrhost(var.vpc_cidr, 0)) && try(tonumber(split("/", var.vpc_cidr)[1]) >= 16 && tonumber(split("/", var.vpc_cidr)[1]) <= 20, false)
    error_message = "vpc_cidr must be an IPv4 network between /16 and /20."
  }
}

variable "availability_zones" {
  description = "The zones to use, by name, so that one that AWS adds later moves nothing; two in staging, three in production. Without it: the first ones."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = contains([0, 2, 3], length(var.availability_zones)) && length(distinct(var.availability_zones)) == length(var.availability_zones)
    error_message = "availability_zones must be two or three different zones."
  }
}

variable "log_retention_days" {
  description = "How long CloudWatch keeps the flow logs."
  type        = number
  default     = 365
  nullable    = false

  validation {
    condition     = contains([30, 60, 90, 180, 365, 400, 545, 731, 1827], var.log_retention_days)
    error_message = "log_retention_days must be one that CloudWatch knows: 30, 60, 90, 180, 365, 400, 545, 731 or 1827."
  }
}

variable "github_repository" {
  description = "The GitHub repository (owner/name) whose workflows may publish images."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9-]+/[A-Za-z0-9._-]+$", var.github_repository))
    error_message = "github_repository must be owner/name, without wildcards."
  }
}

variable "github_oidc_provider_arn" {
  description = "GitHub's OIDC provider, where the account has one already; an account can have only one. Null makes it."
  type        = string
  default     = null

  validation {
    condition     = var.github_oidc_provider_arn == null || can(regex("^arn:[a-z-]+:iam::[0-9]{12}:oidc-provider/token\\.actions\\.githubusercontent\\.com$", var.github_oidc_provider_arn))
    error_message = "github_oidc_provider_arn must be the ARN of the provider token.actions.githubusercontent.com."
  }
}

variable "github_policy_arns" {
  description = "Further IAM policies for the role of GitHub, should its workflows do more than publish images."
  type        = set(string)
  default     = []
  nullable    = false
}
