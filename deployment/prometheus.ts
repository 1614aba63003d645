import { containerPort } from "./dockerfile.ts";

/** prometheus/prometheus.yml */
export const prometheusConfig = {
  global: { scrape_interval: "5s", evaluation_interval: "15s" },
  rule_files: ["rules.yml"],
  scrape_configs: [{ job_name: "moe-lab", static_configs: [{ targets: [`server:${containerPort}`] }] }],
};

interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly for: string;
  readonly labels: { readonly severity: "critical" | "warning" };
  readonly annotations: { readonly summary: string; readonly description: string };
}

const alert = (name: string, expr: string, lasting: string, severity: "critical" | "warning", summary: string, description: string): Alert =>
  ({ alert: name, expr, for: lasting, labels: { severity }, annotations: { summary, description } });

/** prometheus/rules.yml: what somebody should look at. */
export const prometheusRules = {
  groups: [{
    name: "moe-lab",
    rules: [
      alert("MoeServerDown", 'up{job="moe-lab"} == 0', "1m", "critical",
        "A MoE Lab server doesn't answer", "Prometheus got no metrics from {{ $labels.instance }} for a minute. Look at the container's state and its log."),
      alert("MoeRequestsRefused", 'rate(moe_request_failure_total{reason=~"queue_full|not_ready"}[5m]) > 0', "2m", "warning",
        "A MoE Lab server refuses requests", "{{ $labels.instance }} refuses {{ $value | humanize }} requests a second ({{ $labels.reason }}). Add a server, or raise MOE_LAB_MAX_QUEUE."),
      alert("MoeDecoderFails", 'rate(moe_request_failure_total{reason="decoder"}[5m]) > 0', "1m", "critical",
        "Decoding fails", "Requests to {{ $labels.instance }} end with an error of the decoder. Its log has the cause."),
      alert("MoeSlowFirstToken", "histogram_quantile(0.95, sum by (le, instance) (rate(moe_time_to_first_token_seconds_bucket[5m]))) > 2.5", "5m", "warning",
        "First tokens come late", "95 % of the first tokens of {{ $labels.instance }} take up to {{ $value | humanizeDuration }}. The queue or the prompts are long."),
      // A coefficient of variation of √(E − 1) means that one expert gets everything; 1.5 is far from even for any E ≥ 4.
      alert("MoeExpertsCollapsed", "stddev by (instance, layer) (rate(moe_expert_tokens_total[15m])) / avg by (instance, layer) (rate(moe_expert_tokens_total[15m])) > 1.5", "15m", "warning",
        "A few experts get most tokens", "The expert load of layer {{ $labels.layer }} on {{ $labels.instance }} has a coefficient of variation of {{ $value | humanize }}. The requests differ from the training data, or the router has collapsed."),
    ],
  }],
};
