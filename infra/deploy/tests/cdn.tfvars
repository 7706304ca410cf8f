# For checkov, which otherwise would not see what only is made with CloudFront.
cdn_enabled         = true
domain_name         = "s.example.com"
origin_domain_name  = "origin.s.example.com"
cdn_certificate_arn = "arn:aws:acm:us-east-1:111122223333:certificate/00000000-0000-0000-0000-000000000000"
