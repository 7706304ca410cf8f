# Roles belong to the server and need its master, so a task of its own makes them (output run_roles), before the first
# migration and after each change of a password. Again is harmless.

resource "aws_ecs_task_definition" "roles" {
  family                   = "${local.name}-roles"
  requires_compatibilities = ["FARGATE"]
  # Former definitions stay, to go back to.
  skip_destroy       = true
  network_mode       = "awsvpc"
  cpu                = 256
  memory             = 512
  execution_role_arn = aws_iam_role.execution["roles"].arn
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
    merge(local.prepare, { logConfiguration = local.log.roles }),
    merge(local.hardening, {
      name       = "roles"
      image      = var.images.psql
      essential  = true
      user       = "65532:65532"
      entryPoint = ["sh", "-euc"]
      command    = [file("${path.module}/roles.sh")]
      environment = [
        { name = "ROLES_SQL", value = file("${path.module}/roles.sql") },
        { name = "PGHOST", value = aws_db_instance.main.address },
        { name = "PGPORT", value = tostring(aws_db_instance.main.port) },
        { name = "PGUSER", value = aws_db_instance.main.username },
        { name = "PGDATABASE", value = "postgres" },
        { name = "PGSSLMODE", value = "verify-full" },
        { name = "PGSSLROOTCERT", value = local.authorities_file },
      ]
      secrets = concat(
        [{ name = "PGPASSWORD", valueFrom = "${aws_db_instance.main.master_user_secret[0].secret_arn}:password::" }],
        [for name in ["app", "app_b", "manage", "manage_b", "batch", "batch_b"] : {
          name      = "SHORTLINK_${upper(name)}"
          valueFrom = "${aws_secretsmanager_secret.operator.arn}:postgres_${name}::"
        }],
      )
      mountPoints      = [local.authorities_mount, local.scratch_mount]
      dependsOn        = local.prepared
      logConfiguration = local.log.roles
    }),
  ])

  depends_on = [aws_secretsmanager_secret_version.operator, aws_iam_role_policy.execution]
}
