variable "region" {
  description = "The AWS region of the service, the one of infra/setup."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "region must look like eu-central-1."
  }
}

variable "name" {
  description = "What the names of all resources begin with, the same as in infra/setup."
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

variable "state_bucket" {
  description = "Where the state of infra/setup is; infra/tf takes it from TF_STATE_BUCKET."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.state_bucket))
    error_message = "state_bucket must be the name of an S3 bucket."
  }
}

# What runs.

variable "images" {
  description = "The images: api, edge (the nginx in front of it), batch and psql, each with a tag that is not latest, or a digest."
  type = object({
    api   = string
    edge  = string
    batch = string
    psql  = string
  })
  nullable = false

  validation {
    condition = alltrue([
      for image in values(var.images) : can(regex("^[^\\s@]+/[^\\s:@]+(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}|@sha256:[0-9a-f]{64})$", image)) && !endswith(image, ":latest")
    ])
    error_message = "Each image must be registry/repository:tag with a tag other than latest, or registry/repository@sha256:digest."
  }
}

variable "cpu_architecture" {
  description = "What the images were built for."
  type        = string
  default     = "X86_64"
  nullable    = false

  validation {
    condition     = contains(["X86_64", "ARM64"], var.cpu_architecture)
    error_message = "cpu_architecture must be X86_64 or ARM64."
  }
}

variable "settings" {
  description = "Settings of the components other than their defaults, as in docs/configuration.md: create_access, default_ttl_days, max_ttl_days, alias_quarantine_days, public_url, cache_ttl_seconds, hot_link_ttl_millis, pool_prefetch, edge_ttl_seconds, redirect_max_age, allowed_origins."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition = length(setsubtract(keys(var.settings), [
      "create_access", "default_ttl_days", "max_ttl_days", "alias_quarantine_days", "public_url", "cache_ttl_seconds",
      "hot_link_ttl_millis", "pool_prefetch", "edge_ttl_seconds", "redirect_max_age", "allowed_origins",
    ])) == 0
    error_message = "settings knows create_access, default_ttl_days, max_ttl_days, alias_quarantine_days, public_url, cache_ttl_seconds, hot_link_ttl_millis, pool_prefetch, edge_ttl_seconds, redirect_max_age and allowed_origins; hosts, passwords and TLS are set by Terraform."
  }
}

variable "authorities_pem" {
  description = "The certificate authorities of RDS in this region and of Amazon Trust Services (ElastiCache), in PEM."
  type        = string
  nullable    = false

  validation {
    condition     = strcontains(var.authorities_pem, "-----BEGIN CERTIFICATE-----") && !strcontains(var.authorities_pem, "PRIVATE KEY")
    error_message = "authorities_pem must hold certificates in PEM, and no private key."
  }

  validation {
    condition     = length(var.authorities_pem) <= 40000
    error_message = "authorities_pem must fit into a task definition: take the bundle of the region, not the global one."
  }
}

variable "credentials_slot" {
  description = "Which of each user's two passwords the service uses, a or b; the other one may be replaced meanwhile."
  type        = string
  default     = "a"
  nullable    = false

  validation {
    condition     = contains(["a", "b"], var.credentials_slot)
    error_message = "credentials_slot must be a or b."
  }
}

# How it is reached.

variable "domain_name" {
  description = "The host name of the short links."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\\.)+[a-z]{2,}$", var.domain_name))
    error_message = "domain_name must be a host name such as s.example.com."
  }
}

variable "certificate_arn" {
  description = "The ACM certificate of the load balancer, in the region; with cdn_enabled it must be valid for origin_domain_name."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^arn:[a-z-]+:acm:[a-z0-9-]+:[0-9]{12}:certificate/[0-9a-f-]+$", var.certificate_arn))
    error_message = "certificate_arn must be the ARN of an ACM certificate."
  }
}

variable "zone_id" {
  description = "The Route 53 zone that gets the records of the host names; null makes none."
  type        = string
  default     = null
}

variable "cdn_enabled" {
  description = "Whether CloudFront stands in front of the load balancer, which then admits nobody else."
  type        = bool
  default     = false
  nullable    = false
}

variable "origin_domain_name" {
  description = "The host name by which CloudFront reaches the load balancer; required with cdn_enabled."
  type        = string
  default     = null

  validation {
    condition     = !var.cdn_enabled || (var.origin_domain_name != null && var.origin_domain_name != var.domain_name)
    error_message = "cdn_enabled needs an origin_domain_name other than domain_name."
  }
}

variable "cdn_certificate_arn" {
  description = "The ACM certificate of domain_name in us-east-1; required with cdn_enabled."
  type        = string
  default     = null

  validation {
    condition     = !var.cdn_enabled || can(regex("^arn:[a-z-]+:acm:us-east-1:[0-9]{12}:certificate/[0-9a-f-]+$", var.cdn_certificate_arn))
    error_message = "cdn_enabled needs a cdn_certificate_arn: an ACM certificate in us-east-1."
  }
}

variable "request_limit" {
  description = "Requests that one address may send in five minutes."
  type        = number
  default     = 20000
  nullable    = false

  validation {
    condition     = var.request_limit >= 100 && var.request_limit <= 2000000000 && floor(var.request_limit) == var.request_limit
    error_message = "request_limit must be a whole number from 100 to 2,000,000,000."
  }
}

variable "create_limit" {
  description = "Requests that create, change or delete links, of one address in five minutes."
  type        = number
  default     = 1000
  nullable    = false

  validation {
    condition     = var.create_limit >= 10 && var.create_limit <= 2000000000 && floor(var.create_limit) == var.create_limit
    error_message = "create_limit must be a whole number from 10 to 2,000,000,000."
  }
}

# The batch.

variable "batch_schedule" {
  description = "When the batch runs, as EventBridge Scheduler writes it."
  type        = string
  default     = "rate(5 minutes)"
  nullable    = false

  validation {
    condition     = can(regex("^(rate\\([1-9][0-9]* (minutes?|hours?)\\)|cron\\(.+\\))$", var.batch_schedule))
    error_message = "batch_schedule must be rate(... minutes) or cron(...)."
  }
}

variable "codes_target" {
  description = "How many codes the batch keeps in the pool: well over what is created between two runs."
  type        = number
  default     = 100000
  nullable    = false

  validation {
    condition     = var.codes_target >= 1000 && var.codes_target <= 10000000 && floor(var.codes_target) == var.codes_target
    error_message = "codes_target must be a whole number from 1,000 to 10,000,000."
  }
}

variable "partitions_ahead" {
  description = "Months whose partitions the batch makes in advance."
  type        = number
  default     = 2
  nullable    = false

  validation {
    condition     = contains(range(1, 25), var.partitions_ahead)
    error_message = "partitions_ahead must be a whole number from 1 to 24."
  }
}

# Who is told.

variable "alarm_emails" {
  description = "Addresses that get the alarms; each has to confirm once."
  type        = set(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for address in var.alarm_emails : can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", address))])
    error_message = "alarm_emails must be e-mail addresses."
  }
}

variable "log_retention_days" {
  description = "How long CloudWatch keeps logs."
  type        = number
  default     = 365
  nullable    = false

  validation {
    condition     = contains([30, 60, 90, 180, 365, 400, 545, 731, 1827], var.log_retention_days)
    error_message = "log_retention_days must be one that CloudWatch knows: 30, 60, 90, 180, 365, 400, 545, 731 or 1827."
  }
}
