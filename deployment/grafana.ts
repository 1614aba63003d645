import * as bargauge from "@grafana/grafana-foundation-sdk/bargauge";
import { TooltipDisplayMode, VizLegendOptionsBuilder, VizTooltipOptionsBuilder } from "@grafana/grafana-foundation-sdk/common";
import type { Builder } from "@grafana/grafana-foundation-sdk/cog";
import { DashboardBuilder, RowBuilder, type Dashboard, type Panel } from "@grafana/grafana-foundation-sdk/dashboard";
import { DataqueryBuilder } from "@grafana/grafana-foundation-sdk/prometheus";
import * as timeseries from "@grafana/grafana-foundation-sdk/timeseries";

const datasource = { type: "prometheus", uid: "moe-lab-prometheus" };

/** grafana/provisioning/datasources/prometheus.yml */
export const grafanaDatasources = {
  apiVersion: 1,
  datasources: [{ name: "Prometheus", type: datasource.type, uid: datasource.uid, access: "proxy", url: "http://prometheus:9090", isDefault: true, editable: false }],
};

/** grafana/provisioning/dashboards/dashboards.yml */
export const grafanaDashboardProviders = {
  apiVersion: 1,
  providers: [{ name: "moe-lab", type: "file", allowUiUpdates: false, options: { path: "/etc/moe-lab/dashboards" } }],
};

interface Graph {
  readonly title: string;
  readonly description: string;
  /** Unit id of Grafana, e.g. "s", "reqps" */
  readonly unit: string;
  /** Legend → PromQL */
  readonly queries: Readonly<Record<string, string>>;
}

const query = (refId: string, legend: string, expr: string): DataqueryBuilder => new DataqueryBuilder().refId(refId).expr(expr).legendFormat(legend);

/** Panels are 8 of the 24 columns wide: three a row. */
const graph = ({ title, description, unit, queries }: Graph): Builder<Panel> => {
  const panel = new timeseries.PanelBuilder().title(title).description(description).unit(unit).min(0).datasource(datasource).span(8).height(8)
    .legend(new VizLegendOptionsBuilder().showLegend(true)).tooltip(new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi));
  // Grafana tells the answers of a panel's queries apart by their letters.
  Object.entries(queries).forEach(([legend, expr], index) => panel.withTarget(query("ABC"[index] ?? "D", legend, expr)));
  return panel;
};

const quantiles = (histogram: string): Record<string, string> => Object.fromEntries([0.5, 0.95].map((part) =>
  [`p${part * 100}`, `histogram_quantile(${part}, sum by (le) (rate(${histogram}_bucket[$__rate_interval])))`]));

const requestGraphs: readonly Graph[] = [
  { title: "Requests a second", description: "Requests answered to the end, and failed ones by reason", unit: "reqps", queries: {
    "{{finished_reason}}": "sum by (finished_reason) (rate(moe_request_success_total[$__rate_interval]))",
    "failed: {{reason}}": "sum by (reason) (rate(moe_request_failure_total[$__rate_interval])) > 0" } },
  { title: "Tokens a second", description: "Prompt tokens read and tokens generated", unit: "short", queries: {
    prompt: "sum(rate(moe_prompt_tokens_total[$__rate_interval]))", generated: "sum(rate(moe_generation_tokens_total[$__rate_interval]))" } },
  { title: "Running and waiting", description: "Requests that are decoded and that wait for a place", unit: "short", queries: {
    running: "sum(moe_num_requests_running)", waiting: "sum(moe_num_requests_waiting)" } },
];

const latencyGraphs: readonly Graph[] = [
  { title: "Time to first token", description: "From a request's arrival to its first token", unit: "s", queries: quantiles("moe_time_to_first_token_seconds") },
  { title: "Inter-token latency", description: "Between two tokens of a request", unit: "s", queries: quantiles("moe_inter_token_latency_seconds") },
  { title: "Time in the queue", description: "From a request's arrival to its start", unit: "s", queries: quantiles("moe_request_queue_time_seconds") },
];

const expertGraphs: readonly Graph[] = [
  { title: "Load variation by layer", description: "Standard deviation over mean of the experts' tokens: 0 is even, √(E − 1) means one expert gets all", unit: "short", queries: {
    "layer {{layer}}": "stddev by (layer) (sum by (layer, expert) (rate(moe_expert_tokens_total[$__rate_interval]))) / avg by (layer) (sum by (layer, expert) (rate(moe_expert_tokens_total[$__rate_interval])))" } },
  { title: "Load variation since start", description: "The same over all tokens since the server started", unit: "short", queries: { "layer {{layer}}": "max by (layer) (moe_expert_load_cv)" } },
];

const processGraphs: readonly Graph[] = [
  { title: "Cache in use", description: "Part of the cache places of all sequences that hold a token", unit: "percentunit", queries: { used: "max(moe_kv_cache_usage_ratio)" } },
  { title: "Tokens a turn", description: "Tokens that went through the model in one turn over all sequences", unit: "short", queries: quantiles("moe_iteration_tokens_total") },
  { title: "Memory", description: "Resident memory in bytes", unit: "bytes", queries: { "{{instance}}": "process_resident_memory_bytes" } },
];

/** grafana/dashboards/moe.json */
export function moeDashboard(): Dashboard {
  const builder = new DashboardBuilder("MoE Lab").uid("moe-lab").tags(["moe-lab"]).refresh("10s").time({ from: "now-30m", to: "now" }).timezone("browser").editable();
  const addRow = (title: string, panels: readonly Builder<Panel>[]): void => {
    builder.withRow(new RowBuilder(title));
    for (const panel of panels) builder.withPanel(panel);
  };
  const expertLoad = new bargauge.PanelBuilder().title("Tokens by expert").description("Share of each expert in the tokens of its layer; moe_expert_tokens_total needs MOE_LAB_EXPERT_METRICS=true")
    .unit("percentunit").min(0).datasource(datasource).span(8).height(8)
    .withTarget(query("A", "layer {{layer}} expert {{expert}}",
      "sum by (layer, expert) (increase(moe_expert_tokens_total[$__range])) / ignoring (expert) group_left () sum by (layer) (increase(moe_expert_tokens_total[$__range]))").instant());
  addRow("Requests", requestGraphs.map(graph));
  addRow("Latency", latencyGraphs.map(graph));
  addRow("Experts", [expertLoad, ...expertGraphs.map(graph)]);
  addRow("Process", processGraphs.map(graph));
  return builder.build();
}
