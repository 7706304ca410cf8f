# The whole service in staging, with what only is known after an apply: addresses, ARNs, the definitions of the tasks.

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
        api   = "arn:aws:ecr:eu-central-1:111122223333:repository/short-link-staging/api"
        edge  = "arn:aws:ecr:eu-central-1:111122223333:repository/short-link-staging/edge"
        batch = "arn:aws:ecr:eu-central-1:111122223333:repository/short-link-staging/batch"
        psql  = "arn:aws:ecr:eu-central-1:111122223333:repository/short-link-staging/psql"
      }
    }
  }
}

override_resource {
  target = aws_security_group.load_balancer
  values = { id = "sg-load-balancer" }
}

override_resource {
  target = aws_security_group.api
  values = { id = "sg-api" }
}

override_resource {
  target = aws_security_group.batch
  values = { id = "sg-batch" }
}

override_resource {
  target = aws_security_group.postgres
  values = { id = "sg-postgres" }
}

override_resource {
  target = aws_security_group.redis
  values = { id = "sg-redis" }
}

override_resource {
  target = aws_secretsmanager_secret.api
  values = { arn = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:api-AbCdEf" }
}

override_resource {
  target = aws_secretsmanager_secret.batch
  values = { arn = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:batch-AbCdEf" }
}

override_resource {
  target = aws_secretsmanager_secret.operator
  values = { arn = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:operator-AbCdEf" }
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

run "everything_at_rest_is_encrypted" {
  command = apply

  assert {
    condition     = aws_db_instance.main.storage_encrypted && aws_db_instance.main.kms_key_id == aws_kms_key.main.arn
    error_message = "Postgres is not encrypted by the service's key."
  }

  assert {
    condition     = alltrue([for group in aws_elasticache_replication_group.redis : tobool(group.at_rest_encryption_enabled) && group.kms_key_id == aws_kms_key.main.arn])
    error_message = "A Redis is not encrypted by the service's key."
  }

  assert {
    condition = alltrue([
      for secret in [aws_secretsmanager_secret.api, aws_secretsmanager_secret.batch, aws_secretsmanager_secret.operator] : secret.kms_key_id == aws_kms_key.main.arn
    ])
    error_message = "A secret is not encrypted by the service's key."
  }

  assert {
    condition = alltrue([
      for group in concat(values(aws_cloudwatch_log_group.task), values(aws_cloudwatch_log_group.redis), values(aws_cloudwatch_log_group.postgres), [aws_cloudwatch_log_group.firewall]) :
      group.kms_key_id == aws_kms_key.main.arn && group.retention_in_days == 365
    ])
    error_message = "Logs are not encrypted by the service's key, or are kept for ever."
  }

  assert {
    condition     = aws_sqs_queue.dead_letters.sqs_managed_sse_enabled && aws_sns_topic.alarms.kms_master_key_id == aws_kms_key.main.arn
    error_message = "The queue or the topic is not encrypted."
  }

  assert {
    condition     = aws_kms_key.main.enable_key_rotation
    error_message = "The key is not rotated."
  }
}

run "everything_in_transit_is_encrypted" {
  command = apply

  assert {
    condition     = contains([for parameter in aws_db_parameter_group.main.parameter : "${parameter.name}=${parameter.value}"], "rds.force_ssl=1") && aws_db_instance.main.parameter_group_name == aws_db_parameter_group.main.name
    error_message = "Postgres takes connections without TLS."
  }

  assert {
    condition     = alltrue([for group in aws_elasticache_replication_group.redis : group.transit_encryption_enabled && group.transit_encryption_mode == "required"])
    error_message = "A Redis takes connections without TLS."
  }

  assert {
    condition = alltrue([
      for name, value in { SPIN_VARIABLE_POSTGRES_SSLMODE = "require", SPIN_VARIABLE_REDIS_CACHE_TLS = "require", SPIN_VARIABLE_REDIS_CODES_TLS = "require", SSL_CERT_FILE = "/etc/short-link/ca.pem" } :
      { for variable in jsondecode(aws_ecs_task_definition.api.container_definitions)[1].environment : variable.name => variable.value }[name] == value
    ])
    error_message = "The components do not ask for TLS."
  }

  assert {
    condition = alltrue([
      for name in ["DATABASE_CA_FILE", "REDIS_CACHE_CA_FILE", "REDIS_CODES_CA_FILE"] :
      { for variable in jsondecode(aws_ecs_task_definition.batch.container_definitions)[1].environment : variable.name => variable.value }[name] == "/etc/short-link/ca.pem"
    ])
    error_message = "The batch does not know the authorities."
  }

  assert {
    condition = alltrue([
      endswith(nonsensitive(jsondecode(aws_secretsmanager_secret_version.batch.secret_string)).database_url, "@postgres.example.internal:5432/short_link?sslmode=require"),
      startswith(nonsensitive(jsondecode(aws_secretsmanager_secret_version.batch.secret_string)).redis_cache_url, "rediss://shortlink_batch:"),
      startswith(nonsensitive(jsondecode(aws_secretsmanager_secret_version.batch.secret_string)).redis_codes_url, "rediss://shortlink_batch:"),
      can(regex("^[0-9a-f]{64}$", nonsensitive(jsondecode(aws_secretsmanager_secret_version.batch.secret_string)).codes_key)),
    ])
    error_message = "The batch's addresses do not ask for TLS, or its key is no key."
  }

  assert {
    condition     = { for variable in jsondecode(aws_ecs_task_definition.roles.container_definitions)[1].environment : variable.name => variable.value }["PGSSLMODE"] == "verify-full"
    error_message = "The task that makes the roles does not verify the server."
  }
}

run "the_load_balancer_speaks_tls_1_3_and_leads_http_to_https" {
  command = apply

  assert {
    condition     = aws_lb_listener.https.protocol == "HTTPS" && aws_lb_listener.https.port == 443 && startswith(aws_lb_listener.https.ssl_policy, "ELBSecurityPolicy-TLS13-1-2")
    error_message = "The load balancer does not offer TLS 1.3, or offers versions before 1.2."
  }

  assert {
    condition = alltrue([
      length(aws_lb_listener.http.default_action) == 1,
      aws_lb_listener.http.default_action[0].type == "redirect",
      aws_lb_listener.http.default_action[0].redirect[0].protocol == "HTTPS",
      aws_lb_listener.http.default_action[0].redirect[0].status_code == "HTTP_301",
    ])
    error_message = "HTTP does not lead to HTTPS."
  }

  assert {
    condition     = aws_lb_target_group.api.health_check[0].path == "/v1/health" && aws_lb_target_group.api.deregistration_delay == "30"
    error_message = "Tasks would be replaced when Postgres fails, or end with requests in flight."
  }

  assert {
    condition     = aws_wafv2_web_acl_association.load_balancer.resource_arn == aws_lb.main.arn
    error_message = "The load balancer has no firewall."
  }
}

run "the_internet_reaches_the_load_balancer_alone" {
  command = apply

  assert {
    condition     = toset([for rule in aws_vpc_security_group_ingress_rule.internet : rule.from_port]) == toset([80, 443])
    error_message = "Other ports than 80 and 443 are open."
  }

  assert {
    condition     = alltrue([for rule in aws_vpc_security_group_ingress_rule.internet : rule.security_group_id == "sg-load-balancer" && rule.from_port == rule.to_port])
    error_message = "Something else than the load balancer is open to the internet."
  }

  assert {
    condition     = alltrue([for rule in aws_vpc_security_group_ingress_rule.link : rule.cidr_ipv4 == null && rule.cidr_ipv6 == null && rule.referenced_security_group_id != null])
    error_message = "A rule inside admits addresses instead of a group."
  }

  assert {
    condition = toset([for rule in aws_vpc_security_group_ingress_rule.link : "${rule.referenced_security_group_id} ${rule.security_group_id} ${rule.from_port}"]) == toset([
      "sg-load-balancer sg-api 8080",
      "sg-api sg-postgres 5432",
      "sg-api sg-redis 6379",
      "sg-batch sg-postgres 5432",
      "sg-batch sg-redis 6379",
    ])
    error_message = "Somebody may talk to somebody who need not."
  }

  assert {
    condition = alltrue([
      for rule in concat(values(aws_vpc_security_group_egress_rule.link), values(aws_vpc_security_group_egress_rule.endpoints), values(aws_vpc_security_group_egress_rule.layers)) :
      rule.cidr_ipv4 == null && rule.cidr_ipv6 == null
    ])
    error_message = "Tasks may talk to the internet."
  }

  assert {
    condition     = !aws_db_instance.main.publicly_accessible && aws_db_instance.main.db_subnet_group_name == aws_db_subnet_group.main.name && toset(aws_db_subnet_group.main.subnet_ids) == toset(["subnet-database-a", "subnet-database-b"])
    error_message = "Postgres is not in the database subnets."
  }

  assert {
    condition     = toset(aws_elasticache_subnet_group.redis.subnet_ids) == toset(["subnet-database-a", "subnet-database-b"]) && alltrue([for group in aws_elasticache_replication_group.redis : group.subnet_group_name == aws_elasticache_subnet_group.redis.name])
    error_message = "A Redis is not in the database subnets."
  }

  assert {
    condition = alltrue([
      for network in [aws_ecs_service.api.network_configuration[0], aws_scheduler_schedule.batch.target[0].ecs_parameters[0].network_configuration[0]] :
      network.assign_public_ip == false && toset(network.subnets) == toset(["subnet-private-a", "subnet-private-b"])
    ])
    error_message = "Tasks are not in the private subnets."
  }
}

run "secrets_come_by_reference_only" {
  command = apply

  assert {
    condition     = alltrue([for definition in [aws_ecs_task_definition.api, aws_ecs_task_definition.batch, aws_ecs_task_definition.roles] : !issensitive(definition.container_definitions)])
    error_message = "A secret value is part of a task definition."
  }

  assert {
    condition = alltrue(flatten([
      for definition in [aws_ecs_task_definition.api, aws_ecs_task_definition.batch, aws_ecs_task_definition.roles] : [
        for container in jsondecode(nonsensitive(definition.container_definitions)) : [
          for variable in try(container.environment, []) :
          !can(regex("PASSWORD|SECRET|_KEY$|_URL$|TOKEN", variable.name)) && !strcontains(variable.value, "a-generated-password")
        ]
      ]
    ]))
    error_message = "A secret is in the plain environment of a container."
  }

  assert {
    condition = { for secret in jsondecode(nonsensitive(aws_ecs_task_definition.api.container_definitions))[1].secrets : secret.name => secret.valueFrom } == {
      SPIN_VARIABLE_POSTGRES_PASSWORD           = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:api-AbCdEf:postgres_password::"
      SPIN_VARIABLE_REDIS_CACHE_PASSWORD        = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:api-AbCdEf:redis_cache_password::"
      SPIN_VARIABLE_REDIS_CODES_PASSWORD        = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:api-AbCdEf:redis_codes_password::"
      SPIN_VARIABLE_MANAGE_POSTGRES_PASSWORD    = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:api-AbCdEf:manage_postgres_password::"
      SPIN_VARIABLE_MANAGE_REDIS_CACHE_PASSWORD = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:api-AbCdEf:manage_redis_cache_password::"
      SPIN_VARIABLE_MANAGE_REDIS_CODES_PASSWORD = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:api-AbCdEf:manage_redis_codes_password::"
    }
    error_message = "The components do not get their passwords from their secret."
  }

  assert {
    condition = { for secret in jsondecode(nonsensitive(aws_ecs_task_definition.batch.container_definitions))[1].secrets : secret.name => secret.valueFrom } == {
      DATABASE_URL        = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:batch-AbCdEf:database_url::"
      REDIS_CACHE_URL     = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:batch-AbCdEf:redis_cache_url::"
      REDIS_CODES_URL     = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:batch-AbCdEf:redis_codes_url::"
      SHORTLINK_CODES_KEY = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:batch-AbCdEf:codes_key::"
    }
    error_message = "The batch does not get its addresses and its key from its secret."
  }

  assert {
    condition     = aws_db_instance.main.manage_master_user_password && aws_db_instance.main.password == null
    error_message = "The master's password is not RDS' own."
  }

  # Each task's starter reads the secret of that task.
  assert {
    condition = { for name, policy in aws_iam_role_policy.execution : name => flatten([for statement in jsondecode(policy.policy).Statement : statement.Resource if contains(flatten([statement.Action]), "secretsmanager:GetSecretValue")]) } == {
      api   = ["arn:aws:secretsmanager:eu-central-1:111122223333:secret:api-AbCdEf"]
      batch = ["arn:aws:secretsmanager:eu-central-1:111122223333:secret:batch-AbCdEf"]
      roles = ["arn:aws:secretsmanager:eu-central-1:111122223333:secret:operator-AbCdEf", "arn:aws:secretsmanager:eu-central-1:111122223333:secret:rds-AbCdEf"]
    }
    error_message = "A task can read a secret that is not its own."
  }
}

run "rights_are_no_wider_than_needed" {
  command = apply

  # ecr:GetAuthorizationToken cannot be narrowed.
  assert {
    condition = alltrue(flatten([
      for policy in concat(values(aws_iam_role_policy.execution), [aws_iam_role_policy.scheduler]) : [
        for statement in jsondecode(policy.policy).Statement :
        (statement.Resource != "*" || statement.Action == "ecr:GetAuthorizationToken") && alltrue([for action in flatten([statement.Action]) : !strcontains(action, "*")])
      ]
    ]))
    error_message = "A role has rights on everything."
  }

  assert {
    condition     = alltrue([for definition in [aws_ecs_task_definition.api, aws_ecs_task_definition.batch, aws_ecs_task_definition.roles] : definition.task_role_arn == aws_iam_role.task.arn])
    error_message = "A task runs with other rights than none."
  }

  assert {
    condition = alltrue(flatten([
      for definition in [aws_ecs_task_definition.api, aws_ecs_task_definition.batch, aws_ecs_task_definition.roles] : [
        for container in jsondecode(nonsensitive(definition.container_definitions)) :
        container.readonlyRootFilesystem && container.linuxParameters.capabilities.drop == ["ALL"] && (container.name == "prepare" || container.user == "65532:65532")
      ]
    ]))
    error_message = "A container may write to its file system, has capabilities, or runs as root."
  }
}

run "the_batch_runs_by_schedule" {
  command = apply

  variables {
    batch_schedule = "rate(2 minutes)"
    codes_target   = 50000
  }

  assert {
    condition     = aws_scheduler_schedule.batch.schedule_expression == "rate(2 minutes)" && aws_scheduler_schedule.batch.state == "ENABLED" && aws_scheduler_schedule.batch.flexible_time_window[0].mode == "OFF"
    error_message = "The batch does not run as often as asked for."
  }

  assert {
    condition     = jsondecode(nonsensitive(aws_ecs_task_definition.batch.container_definitions))[1].command == ["run", "--json"]
    error_message = "The batch's task does something else."
  }

  assert {
    condition = alltrue([
      aws_scheduler_schedule.batch.target[0].retry_policy[0].maximum_retry_attempts >= 3,
      aws_scheduler_schedule.batch.target[0].retry_policy[0].maximum_event_age_in_seconds <= 3600,
      aws_scheduler_schedule.batch.target[0].dead_letter_config[0].arn == aws_sqs_queue.dead_letters.arn,
      aws_scheduler_schedule.batch.target[0].ecs_parameters[0].task_definition_arn == aws_ecs_task_definition.batch.arn,
      aws_sqs_queue.dead_letters.message_retention_seconds == 1209600,
    ])
    error_message = "A start that fails is not tried again, or is forgotten."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.main["codes-available"].threshold == 10000
    error_message = "The alarm on the pool does not follow its target."
  }

  assert {
    condition     = can(regex("--task-definition short-link-staging-batch .*\"command\":\\[\"migrate\"\\]", output.run_migrate)) && strcontains(output.run_roles, "--task-definition short-link-staging-roles")
    error_message = "The commands for the first deployment do not name their tasks."
  }
}

run "a_bad_deployment_goes_back_by_itself" {
  command = apply

  assert {
    condition     = aws_ecs_service.api.deployment_circuit_breaker[0].enable && aws_ecs_service.api.deployment_circuit_breaker[0].rollback && aws_ecs_service.api.deployment_minimum_healthy_percent == 100
    error_message = "A bad deployment stays, or takes tasks away that work."
  }

  assert {
    condition     = aws_appautoscaling_target.api.min_capacity == 2 && aws_appautoscaling_policy.cpu.policy_type == "TargetTrackingScaling"
    error_message = "Fewer than two tasks, or no autoscaling."
  }

  # The load balancer reaches the front door, which reaches Spin.
  assert {
    condition = alltrue([
      one(aws_ecs_service.api.load_balancer).container_name == "edge",
      aws_lb_target_group.api.port == 8080,
      contains([for variable in jsondecode(nonsensitive(aws_ecs_task_definition.api.container_definitions))[2].environment : "${variable.name}=${variable.value}"], "FRONT_DOOR_UPSTREAM=127.0.0.1:8000"),
      contains([for variable in jsondecode(nonsensitive(aws_ecs_task_definition.api.container_definitions))[2].environment : "${variable.name}=${variable.value}"], "FRONT_DOOR_TRUSTED=10.40.0.0/20,10.40.16.0/20"),
    ])
    error_message = "Requests do not go through the front door."
  }
}

run "each_user_of_redis_may_do_its_own_work" {
  command = apply

  assert {
    condition = { for key, user in aws_elasticache_user.redis : key => user.access_string if user.user_name != "shortlink_operator" && user.user_name != "default" } == {
      cache-app    = "on ~link:* resetchannels -@all +get +set +ping +select"
      cache-manage = "on ~link:* resetchannels -@all +set +ping +select"
      cache-batch  = "on ~link:* resetchannels -@all +set +ping +select"
      codes-app    = "on ~shortlink:codes resetchannels -@all +lpop +llen +ping +select"
      codes-manage = "on ~shortlink:codes resetchannels -@all +lpop +ping +select"
      codes-batch  = "on ~shortlink:codes resetchannels -@all +rpush +llen +ping +select"
    }
    error_message = "The rights differ from those in infra/local/redis-*.acl."
  }

  assert {
    condition     = alltrue([for user in aws_elasticache_user.redis : startswith(user.access_string, "off ") if user.user_name == "default"]) && length([for user in aws_elasticache_user.redis : user if user.user_name == "default"]) == 2
    error_message = "The default user is on."
  }

  assert {
    condition     = alltrue([for user in aws_elasticache_user.redis : user.authentication_mode[0].type == "password" && user.no_password_required != true])
    error_message = "A user needs no password."
  }

  assert {
    condition = { for name, group in aws_elasticache_user_group.redis : name => join(" ", sort(group.user_ids)) } == {
      cache = join(" ", [for user in ["app", "batch", "default", "manage", "operator"] : "short-link-staging-cache-${user}"])
      codes = join(" ", [for user in ["app", "batch", "default", "manage", "operator"] : "short-link-staging-codes-${user}"])
    }
    error_message = "A Redis has a user that is not its own."
  }

  assert {
    condition     = alltrue([for name, group in aws_elasticache_replication_group.redis : group.user_group_ids == toset([aws_elasticache_user_group.redis[name].user_group_id]) && group.auth_token == null])
    error_message = "A Redis has no users of its own."
  }
}

run "the_cache_evicts_and_the_codes_stay" {
  command = apply

  assert {
    condition     = { for name, group in aws_elasticache_parameter_group.redis : name => one(group.parameter).value } == { cache = "volatile-lfu", codes = "noeviction" }
    error_message = "A Redis evicts what it should not, or does not what it should."
  }

  assert {
    condition     = alltrue([for name, group in aws_elasticache_replication_group.redis : group.parameter_group_name == "short-link-staging-${name}" && group.automatic_failover_enabled && group.multi_az_enabled && group.num_cache_clusters == 2])
    error_message = "A Redis does not use its parameters, or has no replica to fail over to."
  }

  assert {
    condition     = aws_elasticache_replication_group.redis["codes"].snapshot_retention_limit > 0 && aws_elasticache_replication_group.redis["cache"].snapshot_retention_limit == 0
    error_message = "The codes have no snapshots."
  }
}

run "the_alarms_watch_what_matters" {
  command = apply

  assert {
    condition = { for name, filter in aws_cloudwatch_log_metric_filter.round : name => filter.metric_transformation[0].value } == {
      CodesAvailable  = "$.codes_available"
      PartitionsAhead = "$.partitions_ahead"
      Rounds          = "1"
      FailedRounds    = "1"
    }
    error_message = "The filters read something else than the batch's rounds tell."
  }

  assert {
    condition     = alltrue([for filter in aws_cloudwatch_log_metric_filter.round : filter.log_group_name == "/short-link/staging/batch" && strcontains(filter.pattern, "$.event = \"round\"")])
    error_message = "The filters read another log."
  }

  assert {
    condition     = alltrue([for name in ["codes-available", "partitions-ahead", "batch-silent"] : aws_cloudwatch_metric_alarm.main[name].treat_missing_data == "breaching"])
    error_message = "Silence counts as good news."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.main["partitions-ahead"].threshold == 1 && aws_cloudwatch_metric_alarm.main["database-connections"].threshold == 448
    error_message = "An alarm comes too late."
  }

  assert {
    condition     = alltrue([for alarm in concat(values(aws_cloudwatch_metric_alarm.main), [aws_cloudwatch_metric_alarm.errors]) : alarm.alarm_actions == toset([aws_sns_topic.alarms.arn])])
    error_message = "An alarm tells nobody."
  }

  assert {
    condition     = [for subscription in aws_sns_topic_subscription.email : subscription.endpoint] == ["ops@example.com"]
    error_message = "Nobody gets the alarms."
  }
}

run "staging_can_be_removed_and_is_still_in_two_zones" {
  command = plan

  assert {
    condition     = !aws_db_instance.main.deletion_protection && aws_db_instance.main.skip_final_snapshot && !aws_lb.main.enable_deletion_protection
    error_message = "Staging cannot be removed."
  }

  assert {
    condition     = aws_db_instance.main.multi_az && aws_db_instance.main.engine_version == "17"
    error_message = "Postgres is another or in one zone."
  }
}

run "passwords_change_by_the_other_slot" {
  command = apply

  variables {
    credentials_slot = "b"
  }

  assert {
    condition = alltrue([
      for line in ["SPIN_VARIABLE_POSTGRES_USER=shortlink_app_b", "SPIN_VARIABLE_MANAGE_POSTGRES_USER=shortlink_manage_b"] :
      contains([for variable in jsondecode(nonsensitive(aws_ecs_task_definition.api.container_definitions))[1].environment : "${variable.name}=${variable.value}"], line)
    ])
    error_message = "The components keep the first role."
  }

  assert {
    condition     = startswith(nonsensitive(jsondecode(aws_secretsmanager_secret_version.batch.secret_string)).database_url, "postgres://shortlink_batch_b:")
    error_message = "The batch keeps the first role."
  }

  assert {
    condition     = toset(keys(terraform_data.password)) == toset(flatten([["redis_default", "origin_header"], [for user in ["postgres_app", "postgres_manage", "postgres_batch", "redis_cache_app", "redis_cache_manage", "redis_cache_batch", "redis_codes_app", "redis_codes_manage", "redis_codes_batch", "redis_operator"] : ["${user}_a", "${user}_b"]]]))
    error_message = "A user has no second password."
  }
}

run "settings_reach_the_components" {
  command = apply

  variables {
    settings = { edge_ttl_seconds = "30" }
  }

  assert {
    condition = alltrue([
      for line in ["SPIN_VARIABLE_EDGE_TTL_SECONDS=30", "SPIN_VARIABLE_PUBLIC_HOSTS=s.example.com", "SPIN_VARIABLE_POSTGRES_HOST=postgres.example.internal", "SPIN_VARIABLE_REDIS_CODES_HOST=redis.example.internal"] :
      contains([for variable in jsondecode(nonsensitive(aws_ecs_task_definition.api.container_definitions))[1].environment : "${variable.name}=${variable.value}"], line)
    ])
    error_message = "A setting does not reach the components."
  }
}

run "cloudfront_keeps_what_s_maxage_says_and_is_the_only_way_in" {
  command = apply

  variables {
    cdn_enabled         = true
    origin_domain_name  = "origin.s.example.com"
    cdn_certificate_arn = "arn:aws:acm:us-east-1:111122223333:certificate/00000000-0000-0000-0000-000000000000"
    zone_id             = "Z0123456789"
  }

  assert {
    condition     = aws_cloudfront_cache_policy.redirects[0].min_ttl == 0 && aws_cloudfront_cache_policy.redirects[0].default_ttl == 0 && aws_cloudfront_cache_policy.redirects[0].max_ttl > 0
    error_message = "CloudFront keeps what does not say that it may be kept."
  }

  # A link has one entry, whatever its query and whichever of its paths is asked for.
  assert {
    condition = alltrue([
      one(one(aws_cloudfront_cache_policy.redirects[0].parameters_in_cache_key_and_forwarded_to_origin).query_strings_config).query_string_behavior == "none",
      one(one(aws_cloudfront_distribution.main[0].default_cache_behavior).function_association).event_type == "viewer-request",
      one(one(aws_cloudfront_distribution.main[0].default_cache_behavior).function_association).function_arn == aws_cloudfront_function.one_path[0].arn,
    ])
    error_message = "A link has more than one entry."
  }

  # The mock gives the policies of AWS no id.
  assert {
    condition = alltrue([
      one(aws_cloudfront_distribution.main[0].ordered_cache_behavior).path_pattern == "/v1/links*",
      one(aws_cloudfront_distribution.main[0].ordered_cache_behavior).cache_policy_id != aws_cloudfront_cache_policy.redirects[0].id,
      data.aws_cloudfront_cache_policy.disabled[0].name == "Managed-CachingDisabled",
      data.aws_cloudfront_origin_request_policy.all_viewer[0].name == "Managed-AllViewer",
      contains(one(aws_cloudfront_distribution.main[0].ordered_cache_behavior).allowed_methods, "PATCH"),
    ])
    error_message = "CloudFront keeps what an API key may see, or hides the key from the components."
  }

  assert {
    condition     = alltrue([for response in aws_cloudfront_distribution.main[0].custom_error_response : response.error_caching_min_ttl == 0]) && contains([for response in aws_cloudfront_distribution.main[0].custom_error_response : response.error_code], 404)
    error_message = "CloudFront keeps errors."
  }

  assert {
    condition = alltrue([
      length(aws_vpc_security_group_ingress_rule.internet) == 0,
      aws_vpc_security_group_ingress_rule.cloudfront[0].prefix_list_id == "pl-cloudfront",
      aws_vpc_security_group_ingress_rule.cloudfront[0].from_port == 443,
    ])
    error_message = "The load balancer can be reached past CloudFront."
  }

  assert {
    condition     = aws_cloudfront_distribution.main[0].viewer_certificate[0].minimum_protocol_version == "TLSv1.2_2021" && one(aws_cloudfront_distribution.main[0].origin).custom_origin_config[0].origin_protocol_policy == "https-only"
    error_message = "CloudFront speaks an old TLS or none."
  }

  assert {
    condition     = toset(keys(aws_route53_record.main)) == toset(["s.example.com", "origin.s.example.com"])
    error_message = "A host name has no record."
  }
}

run "an_image_needs_a_tag_that_stays" {
  command = plan

  variables {
    images = {
      api   = "registry.example.com/api:latest"
      edge  = "registry.example.com/edge:1"
      batch = "registry.example.com/batch:1"
      psql  = "registry.example.com/psql:17"
    }
  }

  expect_failures = [var.images]
}

run "passwords_are_no_settings" {
  command = plan

  variables {
    settings = { postgres_password = "hunter2" }
  }

  expect_failures = [var.settings]
}

run "cloudfront_needs_its_certificate_and_an_origin" {
  command = plan

  variables {
    cdn_enabled = true
  }

  expect_failures = [var.origin_domain_name, var.cdn_certificate_arn]
}

run "a_private_key_is_no_authority" {
  command = plan

  variables {
    authorities_pem = "-----BEGIN CERTIFICATE-----\n-----BEGIN PRIVATE KEY-----\n"
  }

  expect_failures = [var.authorities_pem]
}
