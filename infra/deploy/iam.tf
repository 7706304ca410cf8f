# Roles of the tasks. What starts a task reads its image, its log group and its own secrets; the programs themselves ask
# AWS for nothing, so their role has no rights at all.

locals {
  # Which secrets and images each task needs. The database's own secret is RDS'.
  readers = {
    api   = { secrets = [aws_secretsmanager_secret.api.arn], images = ["api", "edge", "psql"] }
    batch = { secrets = [aws_secretsmanager_secret.batch.arn], images = ["batch", "psql"] }
    roles = { secrets = [aws_secretsmanager_secret.operator.arn, aws_db_instance.main.master_user_secret[0].secret_arn], images = ["psql"] }
  }

  assumed_by_tasks = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = {
        StringEquals = { "aws:SourceAccount" = local.account }
        ArnLike      = { "aws:SourceArn" = "arn:${local.partition}:ecs:${var.region}:${local.account}:*" }
      }
    }]
  })
}

resource "aws_iam_role" "execution" {
  for_each           = local.readers
  name               = "${local.name}-${each.key}-execution"
  description        = "Starts tasks: ${each.key}"
  assume_role_policy = local.assumed_by_tasks
}

resource "aws_iam_role_policy" "execution" {
  for_each = local.readers
  name     = "start-${each.key}"
  role     = aws_iam_role.execution[each.key].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        # It has no resource to name.
        Effect   = "Allow"
        Action   = "ecr:GetAuthorizationToken"
        Resource = "*"
      },
      {
        Effect   = "Allow"
        Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
        Resource = [for image in each.value.images : local.setup.repository_arns[image]]
      },
      {
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "${aws_cloudwatch_log_group.task[each.key].arn}:*"
      },
      {
        Effect   = "Allow"
        Action   = "secretsmanager:GetSecretValue"
        Resource = each.value.secrets
      },
      {
        Effect    = "Allow"
        Action    = "kms:Decrypt"
        Resource  = aws_kms_key.main.arn
        Condition = { StringEquals = { "kms:ViaService" = "secretsmanager.${var.region}.amazonaws.com" } }
      },
    ]
  })
}

resource "aws_iam_role" "task" {
  name               = "${local.name}-task"
  description        = "The programs in the tasks: no rights"
  assume_role_policy = local.assumed_by_tasks
}

resource "aws_cloudwatch_log_group" "task" {
  for_each          = toset(["api", "batch", "roles"])
  name              = "${local.log_path}/${each.key}"
  retention_in_days = var.log_retention_days
  kms_key_id        = aws_kms_key.main.arn
}
