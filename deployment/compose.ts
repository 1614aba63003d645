import { containerPort } from "./dockerfile.ts";

interface Confinement {
  readonly memory: string;
  /** Address that answers 2xx when the service is well; left out where the image has its own check. */
  readonly healthUrl?: string;
  readonly stopGracePeriod?: string;
}

/** What every service is confined to. Keys in the order that dclint asks for. */
function confined({ memory, healthUrl, stopGracePeriod }: Confinement) {
  const healthcheck = { test: ["CMD", "wget", "-q", "--spider", healthUrl], interval: "10s", timeout: "3s", retries: 6, start_period: "20s" };
  return {
    restart: "unless-stopped",
    ...(healthUrl === undefined ? {} : { healthcheck }),
    // A log that grows without bound fills the host's disk.
    logging: { driver: "json-file", options: { "max-size": "10m", "max-file": "3" } },
    cap_drop: ["ALL"],
    mem_limit: memory,
    pids_limit: 256,
    read_only: true,
    security_opt: ["no-new-privileges:true"],
    ...(stopGracePeriod === undefined ? {} : { stop_grace_period: stopGracePeriod }),
    tmpfs: ["/tmp"],
  };
}

/** A published port, on loopback only, because the server asks for no key: put a proxy with one before it. */
const published = (variable: string, hostPort: number, port: number) => [`127.0.0.1:\${${variable}:-${hostPort}}:${port}`];

/** The server with Prometheus and Grafana beside it. */
export const compose = {
  name: "moe-lab",
  services: {
    grafana: {
      image: "grafana/grafana:12.1.1",
      volumes: ["grafana-data:/var/lib/grafana", "./grafana/dashboards:/etc/moe-lab/dashboards:ro", "./grafana/provisioning:/etc/grafana/provisioning:ro"],
      environment: {
        // Everybody who reaches the port may look, nobody can log in: there is no password to leak or to forget.
        GF_ANALYTICS_CHECK_FOR_UPDATES: "false",
        GF_ANALYTICS_REPORTING_ENABLED: "false",
        GF_AUTH_ANONYMOUS_ENABLED: "true",
        GF_AUTH_DISABLE_LOGIN_FORM: "true",
        GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH: "/etc/moe-lab/dashboards/moe.json",
        GF_PLUGINS_PREINSTALL_DISABLED: "true",
      },
      ports: published("GRAFANA_PORT", 3000, 3000),
      ...confined({ memory: "512m", healthUrl: "http://127.0.0.1:3000/api/health" }),
    },
    prometheus: {
      image: "prom/prometheus:v3.5.0",
      volumes: ["prometheus-data:/prometheus", "./prometheus:/etc/prometheus:ro"],
      ports: published("PROMETHEUS_PORT", 9090, 9090),
      command: ["--config.file=/etc/prometheus/prometheus.yml", "--storage.tsdb.path=/prometheus", "--storage.tsdb.retention.time=15d"],
      ...confined({ memory: "1g", healthUrl: "http://127.0.0.1:9090/-/ready" }),
    },
    server: {
      build: { context: "." },
      environment: {
        MOE_LAB_DRAIN_TIMEOUT_MS: "${MOE_LAB_DRAIN_TIMEOUT_MS:-20000}",
        MOE_LAB_EXPERT_METRICS: "${MOE_LAB_EXPERT_METRICS:-true}",
        MOE_LAB_LOG_LEVEL: "${MOE_LAB_LOG_LEVEL:-info}",
        MOE_LAB_MAX_ACTIVE: "${MOE_LAB_MAX_ACTIVE:-8}",
        MOE_LAB_MAX_QUEUE: "${MOE_LAB_MAX_QUEUE:-64}",
        MOE_LAB_THREADS: "${MOE_LAB_THREADS:-}",
      },
      ports: published("PORT", 8000, containerPort),
      // The grace period is longer than the drain, so that streams end before the process does.
      ...confined({ memory: "${MEMORY_LIMIT:-4g}", stopGracePeriod: "30s" }),
    },
  },
  volumes: { "grafana-data": {}, "prometheus-data": {} },
};
