# Any workspace other than staging and production is refused.

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
        api   = "arn:aws:ecr:eu-central-1:111122223333:repository/short-link-default/api"
        edge  = "arn:aws:ecr:eu-central-1:111122223333:repository/short-link-default/edge"
        batch = "arn:aws:ecr:eu-central-1:111122223333:repository/short-link-default/batch"
        psql  = "arn:aws:ecr:eu-central-1:111122223333:repository/short-link-default/psql"
      }
    }
  }
}

variables {
  region       = "eu-central-1"
  state_bucket = "short-link-staging-state-111122223333"
  images = {
    api   = "111122223333.dkr.ecr.eu-central-1.amazonaws.com/short-link-staging/api:1.0.0"
    edge  = "111122223333.dkr.ecr.eu-central-1.amazonaws.com/short-link-staging/edge:1.0.0"
    batch = "111122223333.dkr.ecr.eu-central-1.amazonaws.com/short-link-staging/batch:1.0.0"
    psql  = "111122223333.dkr.ecr.eu-central-1.amazonaws.com/short-link-staging/psql:17"
  }
  authorities_pem = "-----BEGIN CERTIFICATE-----\nmock\n-----END CERTIFICATE-----\n"
  domain_name     = "s.example.com"
  certificate_arn = "arn:aws:acm:eu-central-1:111122223333:certificate/00000000-0000-0000-0000-000000000000"
  alarm_emails    = ["ops@example.com"]
}

run "another_workspace_is_refused" {
  command = plan

  expect_failures = [terraform_data.workspace]
}
