output "state_bucket" {
  description = "For TF_STATE_BUCKET."
  value       = aws_s3_bucket.state.bucket
}

output "state_kms_key_arn" {
  description = "For TF_STATE_KMS_KEY."
  value       = aws_kms_key.setup.arn
}

output "repositories" {
  description = "Where to push the images: api, edge, batch and psql."
  value       = { for image, repository in aws_ecr_repository.image : image => repository.repository_url }
}

output "repository_arns" {
  description = "The repositories, for the roles that pull from them."
  value       = { for image, repository in aws_ecr_repository.image : image => repository.arn }
}

output "github_role_arn" {
  description = "The role-to-assume of GitHub's workflows."
  value       = aws_iam_role.github.arn
}

output "vpc_id" {
  description = "The network."
  value       = aws_vpc.main.id
}

output "public_subnet_ids" {
  description = "Of the load balancer."
  value       = [for zone in local.zones : aws_subnet.public[zone].id]
}

output "public_subnet_cidrs" {
  description = "Addresses of the load balancer, whose X-Forwarded-For is believed."
  value       = [for zone in local.zones : aws_subnet.public[zone].cidr_block]
}

output "private_subnet_ids" {
  description = "Of the tasks."
  value       = [for zone in local.zones : aws_subnet.private[zone].id]
}

output "database_subnet_ids" {
  description = "Of Postgres and both Redis."
  value       = [for zone in local.zones : aws_subnet.database[zone].id]
}

output "endpoints_security_group_id" {
  description = "Of the endpoints of AWS services."
  value       = aws_security_group.endpoints.id
}

output "s3_prefix_list_id" {
  description = "The addresses of S3 behind its endpoint."
  value       = aws_vpc_endpoint.s3.prefix_list_id
}
