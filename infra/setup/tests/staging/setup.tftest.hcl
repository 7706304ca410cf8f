# What infra/deploy leans on, in staging.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  region            = "eu-central-1"
  github_repository = "example/short-link"
}

run "the_state_is_encrypted_versioned_and_private" {
  command = apply

  assert {
    condition     = aws_s3_bucket.state.bucket == "short-link-staging-state-111122223333" && aws_s3_bucket_versioning.state.versioning_configuration[0].status == "Enabled"
    error_message = "The state has another bucket or no versions."
  }

  assert {
    condition     = !aws_s3_bucket.state.force_destroy && aws_kms_key.setup.deletion_window_in_days == 30
    error_message = "The state or its key could go at once."
  }

  assert {
    condition     = one(aws_s3_bucket_server_side_encryption_configuration.state.rule).apply_server_side_encryption_by_default[0].sse_algorithm == "aws:kms" && one(aws_s3_bucket_server_side_encryption_configuration.state.rule).apply_server_side_encryption_by_default[0].kms_master_key_id == aws_kms_key.setup.arn
    error_message = "The state is not encrypted by the key."
  }

  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.state.block_public_acls,
      aws_s3_bucket_public_access_block.state.block_public_policy,
      aws_s3_bucket_public_access_block.state.ignore_public_acls,
      aws_s3_bucket_public_access_block.state.restrict_public_buckets,
    ])
    error_message = "The state can be made public."
  }

  assert {
    condition     = jsondecode(aws_s3_bucket_policy.state.policy).Statement[0].Effect == "Deny" && jsondecode(aws_s3_bucket_policy.state.policy).Statement[0].Condition.Bool["aws:SecureTransport"] == "false"
    error_message = "The state can be read without TLS."
  }

  assert {
    condition     = aws_kms_key.setup.enable_key_rotation
    error_message = "The key is not rotated."
  }
}

run "images_are_scanned_encrypted_and_never_replaced" {
  command = apply

  assert {
    condition     = toset(keys(aws_ecr_repository.image)) == toset(["api", "edge", "batch", "psql"])
    error_message = "An image has no repository."
  }

  assert {
    condition = alltrue([
      for repository in aws_ecr_repository.image :
      repository.image_tag_mutability == "IMMUTABLE" && repository.image_scanning_configuration[0].scan_on_push && one(repository.encryption_configuration).encryption_type == "KMS"
    ])
    error_message = "Images can be replaced, are not scanned, or not encrypted by the key."
  }
}

run "only_the_repositorys_own_environment_may_publish" {
  command = apply

  assert {
    condition = jsondecode(aws_iam_role.github.assume_role_policy).Statement[0].Condition.StringEquals == {
      "token.actions.githubusercontent.com:aud" = "sts.amazonaws.com"
      "token.actions.githubusercontent.com:sub" = "repo:example/short-link:environment:staging"
    }
    error_message = "Other workflows can take the role."
  }

  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.github.policy).Statement :
      alltrue([for action in flatten([statement.Action]) : startswith(action, "ecr:") && !strcontains(action, "*")]) && (statement.Resource != "*" || statement.Action == "ecr:GetAuthorizationToken")
    ])
    error_message = "The role may do more than publish images."
  }

  assert {
    condition     = length(aws_iam_openid_connect_provider.github) == 1 && length(aws_iam_role_policy_attachment.github) == 0
    error_message = "There is no provider, or the role has more policies than asked for."
  }
}

run "a_provider_that_exists_is_used" {
  command = apply

  variables {
    github_oidc_provider_arn = "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com"
  }

  assert {
    condition     = length(aws_iam_openid_connect_provider.github) == 0 && jsondecode(aws_iam_role.github.assume_role_policy).Statement[0].Principal.Federated == "arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com"
    error_message = "A second provider would be made."
  }
}

run "only_the_load_balancers_subnets_have_a_way_out" {
  command = apply

  assert {
    condition     = length(aws_subnet.public) == 2 && length(aws_subnet.private) == 2 && length(aws_subnet.database) == 2
    error_message = "The network does not span two zones."
  }

  assert {
    condition     = alltrue([for subnet in concat(values(aws_subnet.public), values(aws_subnet.private), values(aws_subnet.database)) : subnet.map_public_ip_on_launch != true])
    error_message = "A subnet gives out public addresses."
  }

  assert {
    condition     = aws_route.internet.route_table_id == aws_route_table.public.id && length(toset([aws_route_table.public.id, aws_route_table.private.id, aws_route_table.database.id])) == 3
    error_message = "The route to the internet is not that of the public subnets."
  }

  assert {
    condition = alltrue(concat(
      [for association in aws_route_table_association.private : association.route_table_id == aws_route_table.private.id],
      [for association in aws_route_table_association.database : association.route_table_id == aws_route_table.database.id],
    ))
    error_message = "Tasks or databases have the route to the internet."
  }

  assert {
    condition     = length(distinct([for subnet in concat(values(aws_subnet.public), values(aws_subnet.private), values(aws_subnet.database)) : subnet.cidr_block])) == 6
    error_message = "Subnets overlap."
  }

  assert {
    condition     = alltrue([for rule in aws_vpc_security_group_ingress_rule.endpoints : rule.from_port == 443 && rule.cidr_ipv4 != "0.0.0.0/0"])
    error_message = "The endpoints are open."
  }

  assert {
    condition     = length(aws_default_security_group.closed.ingress) == 0 && length(aws_default_security_group.closed.egress) == 0
    error_message = "The default group lets traffic through."
  }

  assert {
    condition     = toset(keys(aws_vpc_endpoint.interface)) == toset(["ecr.api", "ecr.dkr", "logs", "secretsmanager"]) && alltrue([for endpoint in aws_vpc_endpoint.interface : endpoint.private_dns_enabled])
    error_message = "Tasks cannot reach what they need of AWS."
  }
}

run "zones_can_be_pinned" {
  command = plan

  variables {
    availability_zones = ["eu-central-1c", "eu-central-1b"]
  }

  assert {
    condition     = toset(keys(aws_subnet.private)) == toset(["eu-central-1b", "eu-central-1c"])
    error_message = "Other zones than those that were named."
  }
}

run "traffic_is_recorded" {
  command = apply

  assert {
    condition     = aws_flow_log.main.traffic_type == "ALL" && aws_flow_log.main.log_destination == aws_cloudwatch_log_group.flow.arn && aws_cloudwatch_log_group.flow.kms_key_id == aws_kms_key.setup.arn
    error_message = "Traffic is not recorded, or not encrypted."
  }
}

run "a_repository_has_no_wildcard" {
  command = plan

  variables {
    github_repository = "example/*"
  }

  expect_failures = [var.github_repository]
}

run "a_network_too_small_is_refused" {
  command = plan

  variables {
    vpc_cidr = "10.0.0.0/24"
  }

  expect_failures = [var.vpc_cidr]
}
