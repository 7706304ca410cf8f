# The batch: partitions and codes, once each time the scheduler starts it. `shortlink-batch migrate` is the same task with
# another command (output run_migrate).

locals {
  batch_environment = {
    DATABASE_CA_FILE           = local.authorities_file
    REDIS_CACHE_CA_FILE        = local.authorities_file
    REDIS_CODES_CA_FILE        = local.authorities_file
    SHORTLINK_CODES_TARGET     = tostring(var.codes_target)
    SHORTLINK_PARTITIONS_AHEAD = tostring(var.partitions_ahead)
  }

  batch_secrets = {
    DATABASE_URL        = "database_url"
    REDIS_CACHE_URL     = "redis_cache_url"
    REDIS_CODES_URL     = "redis_codes_url"
    SHORTLINK_CODES_KEY = "codes_key"
  }
}

resource "aws_ecs_task_definition" "batch" {
  family                   = "${local.name}-batch"
  requires_compatibilities = ["FARGATE"]
  # Former definitions stay, to go back to.
  skip_destroy       = true
  network_mode       = "awsvpc"
  cpu                = 256
  memory             = 512
  execution_role_arn = aws_iam_role.execution["batch"].arn
  task_role_arn      = aws_iam_role.task.arn

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.cpu_architecture
  }

  volume {
    name = "authorities"
  }

  volume {
    name = "scratch"
  }

  container_definitions = jsonencode([
    merge(local.prepare, { logConfiguration = local.log.batch }),
    merge(local.hardening, {
      name             = "batch"
      image            = var.images.batch
      essential        = true
      user             = "65532:65532"
      command          = ["run", "--json"]
      environment      = [for name, value in local.batch_environment : { name = name, value = value }]
      secrets          = [for name, key in local.batch_secrets : { name = name, valueFrom = "${aws_secretsmanager_secret.batch.arn}:${key}::" }]
      mountPoints      = [local.authorities_mount]
      dependsOn        = local.prepared
      stopTimeout      = 60
      logConfiguration = local.log.batch
    }),
  ])

  depends_on = [aws_secretsmanager_secret_version.batch, aws_iam_role_policy.execution]
}

resource "aws_scheduler_schedule_group" "main" {
  name = local.name
}

resource "aws_scheduler_schedule" "batch" {
  name                = "${local.name}-batch"
  group_name          = aws_scheduler_schedule_group.main.name
  description         = "shortlink-batch run"
  schedule_expression = var.batch_schedule
  kms_key_arn         = aws_kms_key.main.arn
  state               = "ENABLED"

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_ecs_cluster.main.arn
    role_arn = aws_iam_role.scheduler.arn

    ecs_parameters {
      task_definition_arn = aws_ecs_task_definition.batch.arn
      launch_type         = "FARGATE"
      platform_version    = "LATEST"
      task_count          = 1
      propagate_tags      = "TASK_DEFINITION"

      network_configuration {
        subnets          = local.setup.private_subnet_ids
        security_groups  = [aws_security_group.batch.id]
        assign_public_ip = false
      }
    }

    # Of starting the task. A task that fails is made up for by the next one.
    retry_policy {
      maximum_retry_attempts       = 5
      maximum_event_age_in_seconds = 900
    }

    dead_letter_config {
      arn = aws_sqs_queue.dead_letters.arn
    }
  }
}

# Starts that were given up.
resource "aws_sqs_queue" "dead_letters" {
  name                      = "${local.name}-batch-dead-letters"
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = true
}

resource "aws_sqs_queue_policy" "dead_letters" {
  queue_url = aws_sqs_queue.dead_letters.url

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "OnlyTls"
      Effect    = "Deny"
      Principal = "*"
      Action    = "sqs:*"
      Resource  = aws_sqs_queue.dead_letters.arn
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })
}

resource "aws_iam_role" "scheduler" {
  name        = "${local.name}-scheduler"
  description = "Starts the batch"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "scheduler.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = {
        StringEquals = {
          "aws:SourceAccount" = local.account
          "aws:SourceArn"     = aws_scheduler_schedule_group.main.arn
        }
      }
    }]
  })
}

resource "aws_iam_role_policy" "scheduler" {
  name = "start-batch"
  role = aws_iam_role.scheduler.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect    = "Allow"
        Action    = "ecs:RunTask"
        Resource  = aws_ecs_task_definition.batch.arn
        Condition = { ArnEquals = { "ecs:cluster" = aws_ecs_cluster.main.arn } }
      },
      {
        Effect    = "Allow"
        Action    = "ecs:TagResource"
        Resource  = "arn:${local.partition}:ecs:${var.region}:${local.account}:task/${local.name}/*"
        Condition = { StringEquals = { "ecs:CreateAction" = "RunTask" } }
      },
      {
        Effect    = "Allow"
        Action    = "iam:PassRole"
        Resource  = [aws_iam_role.execution["batch"].arn, aws_iam_role.task.arn]
        Condition = { StringEquals = { "iam:PassedToService" = "ecs-tasks.amazonaws.com" } }
      },
      {
        Effect   = "Allow"
        Action   = "sqs:SendMessage"
        Resource = aws_sqs_queue.dead_letters.arn
      },
      {
        Effect    = "Allow"
        Action    = "kms:Decrypt"
        Resource  = aws_kms_key.main.arn
        Condition = { StringEquals = { "kms:ViaService" = "scheduler.${var.region}.amazonaws.com" } }
      },
    ]
  })
}
