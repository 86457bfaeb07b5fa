//! The parts of AWS that know nothing of each other, and where their endpoints are.

/// An AWS partition (botocore's partitions.json).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partition {
    /// Suffix of its usual endpoints: `SERVICE.REGION.SUFFIX`.
    pub dns_suffix: &'static str,
    /// Suffix of its dual-stack endpoints.
    pub dual_stack_dns_suffix: &'static str,
}

impl Partition {
    /// The partition that `region` is in.
    pub fn of(region: &str) -> Self {
        let (dns_suffix, dual_stack_dns_suffix) = match region.split('-').next().unwrap_or_default() {
            "cn" => ("amazonaws.com.cn", "api.amazonwebservices.com.cn"),
            "eusc" => ("amazonaws.eu", "api.amazonwebservices.eu"),
            _ if region.starts_with("us-iso-") => ("c2s.ic.gov", "api.aws.ic.gov"),
            _ if region.starts_with("us-isob-") => ("sc2s.sgov.gov", "api.aws.scloud"),
            _ if region.starts_with("us-isof-") => ("csp.hci.ic.gov", "api.aws.hci.ic.gov"),
            _ if region.starts_with("eu-isoe-") => ("cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),
            _ => ("amazonaws.com", "api.aws"),
        };
        Self { dns_suffix, dual_stack_dns_suffix }
    }
}
