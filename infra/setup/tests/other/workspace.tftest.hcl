# Any workspace other than staging and production is refused.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  region            = "eu-central-1"
  github_repository = "example/short-link"
}

run "another_workspace_is_refused" {
  command = plan

  expect_failures = [terraform_data.workspace]
}
