# What differs in production.

mock_provider "aws" {
  source = "./tests/mocks"
}

mock_provider "aws" {
  alias  = "us_east_1"
  source = "./tests/mocks"
}

override_data {
  target = data.terraform_remote_state.setup
  values = {
    outputs = {
      vpc_id                      = "vpc-1"
      public_subnet_ids           = ["subnet-public-a", "subnet-public-b"]
      public_subnet_cidrs         = ["10.40.0.0/20", "10.40.16.0/20"]
      private_subnet_ids          = ["subnet-private-a", "subnet-private-b"]
      database_subnet_ids         = ["subnet-database-a", "subnet-database-b"]
      endpoints_security_group_id = "sg-endpoints"
      s3_prefix_list_id           = "pl-s3"
      repository_arns = {
        api   = "arn:aws:ecr:eu-central-1:111122223333:repository/short-link-production/api"
        edge  = "arn:aws:ecr:eu-central-1:111122223333:repository/short-link-production/edge"
        batch = "arn:aws:ecr:eu-central-1:111122223333:repository/short-link-production/batch"
        psql  = "arn:aws:ecr:eu-central-1:111122223333:repository/short-link-production/psql"
      }
    }
  }
}

variables {
  region       = "eu-central-1"
  state_bucket = "short-link-production-state-111122223333"
  images = {
    api   = "111122223333.dkr.ecr.eu-central-1.amazonaws.com/short-link-production/api:1.0.0"
    edge  = "111122223333.dkr.ecr.eu-central-1.amazonaws.com/short-link-production/edge:1.0.0"
    batch = "111122223333.dkr.ecr.eu-central-1.amazonaws.com/short-link-production/batch:1.0.0"
    psql  = "111122223333.dkr.ecr.eu-central-1.amazonaws.com/short-link-production/psql:17"
  }
  authorities_pem = "-----BEGIN CERTIFICATE-----\nmock\n-----END CERTIFICATE-----\n"
  domain_name     = "s.example.com"
  certificate_arn = "arn:aws:acm:eu-central-1:111122223333:certificate/00000000-0000-0000-0000-000000000000"
  alarm_emails    = ["ops@example.com"]
}

run "production_cannot_be_removed_by_one_command" {
  command = plan

  assert {
    condition     = aws_db_instance.main.deletion_protection && aws_lb.main.enable_deletion_protection
    error_message = "The database or the load balancer can be deleted."
  }

  assert {
    condition     = !aws_db_instance.main.skip_final_snapshot && aws_db_instance.main.final_snapshot_identifier == "short-link-production-final" && !aws_db_instance.main.delete_automated_backups
    error_message = "The database would go without a snapshot."
  }

  assert {
    condition     = !aws_s3_bucket.access_logs.force_destroy && aws_secretsmanager_secret.batch.recovery_window_in_days == 30
    error_message = "Logs or secrets would go at once."
  }
}

run "production_bears_the_loss_of_a_zone" {
  command = plan

  assert {
    condition     = aws_db_instance.main.multi_az && aws_db_instance.main.backup_retention_period >= 14 && !aws_db_instance.main.apply_immediately
    error_message = "Postgres is in one zone, has few backups, or restarts by day."
  }

  assert {
    condition     = aws_ecs_service.api.desired_count >= 3 && aws_appautoscaling_target.api.max_capacity == 8
    error_message = "There are too few tasks."
  }

  # 64 connections for each of the four components in each task.
  assert {
    condition     = aws_appautoscaling_target.api.max_capacity * 4 * 64 < tonumber([for parameter in aws_db_parameter_group.main.parameter : parameter.value if parameter.name == "max_connections"][0])
    error_message = "The tasks may open more connections than Postgres takes."
  }

  assert {
    condition     = data.terraform_remote_state.setup.workspace == "production"
    error_message = "The network is that of another workspace."
  }
}

run "everything_is_tagged" {
  command = plan

  assert {
    condition     = local.tags == { Application = "short-link", Environment = "production", ManagedBy = "terraform", Root = "infra/deploy" }
    error_message = "A tag is missing."
  }
}
