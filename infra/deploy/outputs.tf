output "url" {
  description = "Where the service is."
  value       = "https://${var.domain_name}"
}

output "load_balancer_dns_name" {
  description = "What the host name (with cdn_enabled: origin_domain_name) must lead to, where no zone_id is given."
  value       = aws_lb.main.dns_name
}

output "cdn_domain_name" {
  description = "What the host name must lead to with cdn_enabled, where no zone_id is given."
  value       = one(aws_cloudfront_distribution.main[*].domain_name)
}

output "cluster" {
  description = "The ECS cluster."
  value       = aws_ecs_cluster.main.name
}

output "database_address" {
  description = "The host of Postgres."
  value       = aws_db_instance.main.address
}

output "redis_addresses" {
  description = "The hosts of both Redis."
  value       = { for name, group in aws_elasticache_replication_group.redis : name => group.primary_endpoint_address }
}

output "secret_arns" {
  description = "The secrets: api, batch, operator, and RDS' own for the master user."
  value = {
    api      = aws_secretsmanager_secret.api.arn
    batch    = aws_secretsmanager_secret.batch.arn
    operator = aws_secretsmanager_secret.operator.arn
    master   = aws_db_instance.main.master_user_secret[0].secret_arn
  }
}

output "log_groups" {
  description = "Where the tasks log."
  value       = { for task, group in aws_cloudwatch_log_group.task : task => group.name }
}

locals {
  run_network = "awsvpcConfiguration={subnets=[${join(",", local.setup.private_subnet_ids)}],securityGroups=[${aws_security_group.batch.id}],assignPublicIp=DISABLED}"
  run_task    = "aws ecs run-task --region ${var.region} --cluster ${aws_ecs_cluster.main.name} --launch-type FARGATE --network-configuration '${local.run_network}'"
}

output "run_roles" {
  description = "The command that makes the roles and the database: before the first migration, and after passwords changed."
  value       = "${local.run_task} --task-definition ${aws_ecs_task_definition.roles.family}"
}

output "run_migrate" {
  description = "The command that migrates the database; another command of shortlink-batch goes the same way."
  value       = "${local.run_task} --task-definition ${aws_ecs_task_definition.batch.family} --overrides '${jsonencode({ containerOverrides = [{ name = "batch", command = ["migrate"] }] })}'"
}
