# The API: Spin with the components, and the front door before it in the same task. Spin alone would keep each answer with
# a body back for 40 ms on connections that stay open, as the load balancer's do; the front door opens fresh ones for those,
# keeps hot redirects, and hides what Spin tells about itself.

locals {
  api_environment = merge(
    { for name, value in var.settings : "SPIN_VARIABLE_${upper(name)}" => value },
    {
      SSL_CERT_FILE = local.authorities_file

      SPIN_VARIABLE_POSTGRES_HOST     = aws_db_instance.main.address
      SPIN_VARIABLE_POSTGRES_PORT     = tostring(aws_db_instance.main.port)
      SPIN_VARIABLE_POSTGRES_USER     = "shortlink_app${local.postgres_suffix}"
      SPIN_VARIABLE_POSTGRES_DATABASE = "short_link"
      SPIN_VARIABLE_POSTGRES_SSLMODE  = "require"

      SPIN_VARIABLE_REDIS_CACHE_HOST = aws_elasticache_replication_group.redis["cache"].primary_endpoint_address
      SPIN_VARIABLE_REDIS_CACHE_PORT = "6379"
      SPIN_VARIABLE_REDIS_CACHE_USER = "shortlink_app"
      SPIN_VARIABLE_REDIS_CACHE_TLS  = "require"

      SPIN_VARIABLE_REDIS_CODES_HOST = aws_elasticache_replication_group.redis["codes"].primary_endpoint_address
      SPIN_VARIABLE_REDIS_CODES_PORT = "6379"
      SPIN_VARIABLE_REDIS_CODES_USER = "shortlink_app"
      SPIN_VARIABLE_REDIS_CODES_TLS  = "require"

      SPIN_VARIABLE_MANAGE_POSTGRES_USER    = "shortlink_manage${local.postgres_suffix}"
      SPIN_VARIABLE_MANAGE_REDIS_CACHE_USER = "shortlink_manage"
      SPIN_VARIABLE_MANAGE_REDIS_CODES_USER = "shortlink_manage"

      SPIN_VARIABLE_PUBLIC_HOSTS = var.domain_name
    },
  )

  api_secrets = {
    SPIN_VARIABLE_POSTGRES_PASSWORD           = "postgres_password"
    SPIN_VARIABLE_REDIS_CACHE_PASSWORD        = "redis_cache_password"
    SPIN_VARIABLE_REDIS_CODES_PASSWORD        = "redis_codes_password"
    SPIN_VARIABLE_MANAGE_POSTGRES_PASSWORD    = "manage_postgres_password"
    SPIN_VARIABLE_MANAGE_REDIS_CACHE_PASSWORD = "manage_redis_cache_password"
    SPIN_VARIABLE_MANAGE_REDIS_CODES_PASSWORD = "manage_redis_codes_password"
  }

  edge_environment = merge(
    {
      FRONT_DOOR_UPSTREAM = "127.0.0.1:8000"
      FRONT_DOOR_LISTEN   = "0.0.0.0:8080"
      FRONT_DOOR_TRUSTED  = join(",", local.setup.public_subnet_cidrs)
      FRONT_DOOR_WORKERS  = "1"
    },
    # All clients come from CloudFront's few addresses then. Its firewall counts the real ones.
    var.cdn_enabled ? { FRONT_DOOR_CREATE_RATE = "off", FRONT_DOOR_MISS_RATE = "off" } : {},
  )
}

resource "aws_ecs_task_definition" "api" {
  family                   = "${local.name}-api"
  requires_compatibilities = ["FARGATE"]
  # Former definitions stay, to go back to.
  skip_destroy       = true
  network_mode       = "awsvpc"
  cpu                = local.size.api_cpu
  memory             = local.size.api_memory
  execution_role_arn = aws_iam_role.execution["api"].arn
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
    merge(local.prepare, { logConfiguration = local.log.api }),
    merge(local.hardening, {
      name             = "api"
      image            = var.images.api
      essential        = true
      user             = "65532:65532"
      environment      = [for name, value in local.api_environment : { name = name, value = value }]
      secrets          = [for name, key in local.api_secrets : { name = name, valueFrom = "${aws_secretsmanager_secret.api.arn}:${key}::" }]
      mountPoints      = [local.authorities_mount, local.scratch_mount]
      dependsOn        = local.prepared
      ulimits          = [{ name = "nofile", softLimit = 65536, hardLimit = 65536 }]
      stopTimeout      = 30
      logConfiguration = local.log.api
    }),
    merge(local.hardening, {
      name             = "edge"
      image            = var.images.edge
      essential        = true
      user             = "65532:65532"
      portMappings     = [{ containerPort = 8080, protocol = "tcp" }]
      environment      = [for name, value in local.edge_environment : { name = name, value = value }]
      mountPoints      = [local.scratch_mount]
      dependsOn        = concat(local.prepared, [{ containerName = "api", condition = "START" }])
      ulimits          = [{ name = "nofile", softLimit = 65536, hardLimit = 65536 }]
      stopTimeout      = 30
      logConfiguration = local.log.api
    }),
  ])

  # The version of a secret is read when a task starts.
  depends_on = [aws_secretsmanager_secret_version.api, aws_iam_role_policy.execution]
}

resource "aws_ecs_service" "api" {
  name                              = "api"
  cluster                           = aws_ecs_cluster.main.id
  task_definition                   = aws_ecs_task_definition.api.arn
  launch_type                       = "FARGATE"
  platform_version                  = "LATEST"
  desired_count                     = local.size.tasks_min
  health_check_grace_period_seconds = 60
  propagate_tags                    = "SERVICE"

  deployment_minimum_healthy_percent = 100
  deployment_maximum_percent         = 200

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  network_configuration {
    subnets          = local.setup.private_subnet_ids
    security_groups  = [aws_security_group.api.id]
    assign_public_ip = false
  }

  load_balancer {
    target_group_arn = aws_lb_target_group.api.arn
    container_name   = "edge"
    container_port   = 8080
  }

  # New passwords reach the components when their tasks start.
  force_new_deployment = true
  triggers             = { secrets = aws_secretsmanager_secret_version.api.version_id }

  lifecycle {
    # Autoscaling decides.
    ignore_changes = [desired_count]
  }

  depends_on = [aws_lb_listener.https]
}

resource "aws_appautoscaling_target" "api" {
  service_namespace  = "ecs"
  scalable_dimension = "ecs:service:DesiredCount"
  resource_id        = "service/${aws_ecs_cluster.main.name}/${aws_ecs_service.api.name}"
  min_capacity       = local.size.tasks_min
  max_capacity       = local.size.tasks_max
}

resource "aws_appautoscaling_policy" "cpu" {
  name               = "${local.name}-cpu"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.api.service_namespace
  scalable_dimension = aws_appautoscaling_target.api.scalable_dimension
  resource_id        = aws_appautoscaling_target.api.resource_id

  target_tracking_scaling_policy_configuration {
    target_value       = 60
    scale_out_cooldown = 30
    scale_in_cooldown  = 300

    predefined_metric_specification {
      predefined_metric_type = "ECSServiceAverageCPUUtilization"
    }
  }
}

resource "aws_appautoscaling_policy" "requests" {
  name               = "${local.name}-requests"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.api.service_namespace
  scalable_dimension = aws_appautoscaling_target.api.scalable_dimension
  resource_id        = aws_appautoscaling_target.api.resource_id

  target_tracking_scaling_policy_configuration {
    target_value       = local.size.requests_per_task
    scale_out_cooldown = 30
    scale_in_cooldown  = 300

    predefined_metric_specification {
      predefined_metric_type = "ALBRequestCountPerTarget"
      resource_label         = "${aws_lb.main.arn_suffix}/${aws_lb_target_group.api.arn_suffix}"
    }
  }
}
