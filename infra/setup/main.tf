# What an account needs once for each workspace, before infra/deploy: where states and images are kept, who may publish
# images, and the network.

locals {
  # How many availability zones each workspace spans.
  zone_counts = {
    staging    = 2
    production = 3
  }

  name       = "${var.name}-${terraform.workspace}"
  zone_count = lookup(local.zone_counts, terraform.workspace, 2)
  zones      = try(slice(coalescelist(var.availability_zones, data.aws_availability_zones.available.names), 0, local.zone_count), [])
  account    = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition
  root_arn   = "arn:${local.partition}:iam::${local.account}:root"
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_availability_zones" "available" {
  #checkov:skip=CKV_AWS_394:The variable availability_zones pins them; without it the first ones by name are taken.
  state = "available"

  filter {
    name   = "opt-in-status"
    values = ["opt-in-not-required"]
  }
}

resource "terraform_data" "workspace" {
  input = terraform.workspace

  lifecycle {
    precondition {
      condition     = contains(keys(local.zone_counts), terraform.workspace)
      error_message = "The workspace must be staging or production, not ${terraform.workspace}: set TF_WORKSPACE."
    }

    precondition {
      condition     = length(local.zones) == local.zone_count
      error_message = "The workspace ${terraform.workspace} needs ${local.zone_count} availability zones."
    }
  }
}

# Of the state, the images and the flow logs.
resource "aws_kms_key" "setup" {
  description             = "${local.name}: state, images and flow logs"
  enable_key_rotation     = true
  deletion_window_in_days = 30

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        # Without it nobody could manage the key; IAM decides who in the account may use it.
        Sid       = "Account"
        Effect    = "Allow"
        Principal = { AWS = local.root_arn }
        Action    = "kms:*"
        Resource  = "*"
      },
      {
        Sid       = "Logs"
        Effect    = "Allow"
        Principal = { Service = "logs.${var.region}.amazonaws.com" }
        Action    = ["kms:Encrypt*", "kms:Decrypt*", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"]
        Resource  = "*"
        Condition = {
          ArnLike = {
            "kms:EncryptionContext:aws:logs:arn" = "arn:${local.partition}:logs:${var.region}:${local.account}:log-group:/${var.name}/${terraform.workspace}/*"
          }
        }
      },
    ]
  })
}

resource "aws_kms_alias" "setup" {
  name          = "alias/${local.name}-setup"
  target_key_id = aws_kms_key.setup.key_id
}
