# What differs in production.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  region            = "eu-central-1"
  github_repository = "example/short-link"
}

run "production_spans_three_zones" {
  command = apply

  assert {
    condition     = length(aws_subnet.public) == 3 && length(aws_subnet.private) == 3 && length(aws_subnet.database) == 3
    error_message = "The network does not span three zones."
  }

  assert {
    condition     = aws_s3_bucket.state.bucket == "short-link-production-state-111122223333"
    error_message = "Production shares its state with another workspace."
  }

  assert {
    condition     = jsondecode(aws_iam_role.github.assume_role_policy).Statement[0].Condition.StringEquals["token.actions.githubusercontent.com:sub"] == "repo:example/short-link:environment:production"
    error_message = "Workflows of another environment may publish to production."
  }
}

run "two_zones_are_too_few_for_production" {
  command = plan

  variables {
    availability_zones = ["eu-central-1c", "eu-central-1b"]
  }

  expect_failures = [terraform_data.workspace]
}
