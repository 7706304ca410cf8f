# The firewall of a load balancer (REGIONAL) or of CloudFront (CLOUDFRONT).
#
# No requests are sampled: a sample has every header, API keys among them. What is blocked is logged without those.
#
# AWS' common rules are left out on purpose: they refuse bodies that hold addresses, and addresses are what is sent here.

terraform {
  required_providers {
    aws = {
      source = "hashicorp/aws"
    }
  }
}

variable "name" {
  description = "Its name."
  type        = string
}

variable "scope" {
  description = "REGIONAL or CLOUDFRONT."
  type        = string

  validation {
    condition     = contains(["REGIONAL", "CLOUDFRONT"], var.scope)
    error_message = "scope must be REGIONAL or CLOUDFRONT."
  }
}

variable "limits" {
  description = "Requests, and of them those that create, change or delete links, that one address may send in five minutes; null counts neither."
  type        = object({ requests = number, creates = number })
  default     = null
}

variable "required_header" {
  description = "The value of x-short-link-edge without which nothing passes; null asks for none."
  type        = string
  default     = null
  sensitive   = true
}

variable "log_group_arn" {
  description = "Where requests are logged that were blocked; its name begins with aws-waf-logs-."
  type        = string
}

resource "aws_wafv2_web_acl" "main" {
  name        = var.name
  description = "Limits of requests per address, and known bad input"
  scope       = var.scope

  default_action {
    allow {}
  }

  dynamic "rule" {
    for_each = nonsensitive(var.required_header != null) ? ["only-from-cloudfront"] : []

    content {
      name     = rule.value
      priority = 0

      action {
        block {}
      }

      statement {
        not_statement {
          statement {
            byte_match_statement {
              search_string         = var.required_header
              positional_constraint = "EXACTLY"

              field_to_match {
                single_header {
                  name = "x-short-link-edge"
                }
              }

              text_transformation {
                priority = 0
                type     = "NONE"
              }
            }
          }
        }
      }

      visibility_config {
        metric_name                = rule.value
        cloudwatch_metrics_enabled = true
        sampled_requests_enabled   = false
      }
    }
  }

  dynamic "rule" {
    for_each = var.limits == null ? [] : ["requests"]

    content {
      name     = "limit-requests"
      priority = 1

      action {
        block {
          custom_response {
            response_code = 429
          }
        }
      }

      statement {
        rate_based_statement {
          aggregate_key_type    = "IP"
          evaluation_window_sec = 300
          limit                 = var.limits.requests
        }
      }

      visibility_config {
        metric_name                = "limit-requests"
        cloudwatch_metrics_enabled = true
        sampled_requests_enabled   = false
      }
    }
  }

  dynamic "rule" {
    for_each = var.limits == null ? [] : ["creates"]

    content {
      name     = "limit-creates"
      priority = 2

      action {
        block {
          custom_response {
            response_code = 429
          }
        }
      }

      statement {
        rate_based_statement {
          aggregate_key_type    = "IP"
          evaluation_window_sec = 300
          limit                 = var.limits.creates

          scope_down_statement {
            regex_match_statement {
              regex_string = "^(POST|PATCH|DELETE)$"

              field_to_match {
                method {}
              }

              text_transformation {
                priority = 0
                type     = "NONE"
              }
            }
          }
        }
      }

      visibility_config {
        metric_name                = "limit-creates"
        cloudwatch_metrics_enabled = true
        sampled_requests_enabled   = false
      }
    }
  }

  rule {
    name     = "known-bad-inputs"
    priority = 3

    override_action {
      none {}
    }

    statement {
      managed_rule_group_statement {
        vendor_name = "AWS"
        name        = "AWSManagedRulesKnownBadInputsRuleSet"
      }
    }

    visibility_config {
      metric_name                = "known-bad-inputs"
      cloudwatch_metrics_enabled = true
      sampled_requests_enabled   = false
    }
  }

  visibility_config {
    metric_name                = var.name
    cloudwatch_metrics_enabled = true
    sampled_requests_enabled   = false
  }
}

resource "aws_wafv2_web_acl_logging_configuration" "main" {
  resource_arn            = aws_wafv2_web_acl.main.arn
  log_destination_configs = [var.log_group_arn]

  # What is secret in a request.
  dynamic "redacted_fields" {
    for_each = ["authorization", "x-api-key", "x-short-link-edge"]

    content {
      single_header {
        name = redacted_fields.value
      }
    }
  }

  logging_filter {
    default_behavior = "DROP"

    filter {
      behavior    = "KEEP"
      requirement = "MEETS_ANY"

      condition {
        action_condition {
          action = "BLOCK"
        }
      }
    }
  }
}

output "arn" {
  description = "The web ACL."
  value       = aws_wafv2_web_acl.main.arn
}
