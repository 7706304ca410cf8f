# The service: load balancer, tasks, Postgres, two Redis, the batch. infra/setup made the network and the registry.

locals {
  workspaces = keys(local.sizes)
  size       = lookup(local.sizes, terraform.workspace, local.sizes.staging)
  production = terraform.workspace == "production"

  name      = "${var.name}-${terraform.workspace}"
  log_path  = "/${var.name}/${terraform.workspace}"
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  setup     = data.terraform_remote_state.setup.outputs
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

# The workspace of the same name in infra/setup.
data "terraform_remote_state" "setup" {
  backend   = "s3"
  workspace = terraform.workspace

  config = {
    bucket = var.state_bucket
    key    = "short-link/setup.tfstate"
    region = var.region
  }
}

resource "terraform_data" "workspace" {
  input = terraform.workspace

  lifecycle {
    precondition {
      condition     = contains(local.workspaces, terraform.workspace)
      error_message = "The workspace must be staging or production, not ${terraform.workspace}: set TF_WORKSPACE."
    }

    # Spin keeps up to 64 connections to Postgres for each of the four components. 40 are for the batch, operators and
    # what Postgres reserves.
    precondition {
      condition     = local.size.tasks_max * 4 * 64 + 40 <= local.size.postgres_connections
      error_message = "${local.size.tasks_max} tasks may open more connections than Postgres takes (postgres_connections in sizes.tf)."
    }
  }
}
