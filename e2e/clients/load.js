// Open-loop load: requests begin at a constant rate, whatever the product does, each with a token of its own. Run by
// `e2e open-loop`, which says where and as whom; prints one JSON object.
import crypto from "k6/crypto";
import encoding from "k6/encoding";
import exec from "k6/execution";
import http from "k6/http";
import { Counter, Trend } from "k6/metrics";

const env = __ENV;
const hosts = env.HOSTS.split(",");
const rate = Number(env.RATE);
const answered = new Counter("answered");
const refused = new Counter("refused");
const failed = new Counter("failed");
const latency = new Trend("latency", true);

export const options = {
  scenarios: {
    load: {
      executor: "constant-arrival-rate",
      rate,
      timeUnit: "1s",
      duration: `${env.SECONDS}s`,
      // A request that would need one more is counted as dropped.
      preAllocatedVUs: Math.max(50, rate),
    },
  },
  summaryTrendStats: ["med", "p(95)", "p(99)", "max"],
  noConnectionReuse: false,
  discardResponseBodies: true,
};

const part = (value) => encoding.b64encode(JSON.stringify(value), "rawurl");

function token(n) {
  const claims = { appId: env.CLIENT, sub: "k6", iat: Math.floor(Date.now() / 1000), jti: `${env.RUN}-${n}` };
  const head = `${part({ alg: "HS256", typ: "JWT" })}.${part(claims)}`;
  return `${head}.${crypto.hmac("sha256", env.SECRET, head, "base64rawurl")}`;
}

export default function () {
  const n = Number(env.FIRST) + exec.scenario.iterationInTest;
  const body = JSON.stringify({ message: { text: `append ${n}` }, from: { id: `user-${n % Number(env.USERS)}` } });
  const headers = { authorization: `Bearer ${token(n)}`, "content-type": "application/json" };
  const response = http.post(hosts[n % hosts.length] + env.PATH_, body, { headers });
  if (response.status === 200) {
    answered.add(1);
    latency.add(response.timings.duration);
  } else if (response.status === 429 || response.status === 503) {
    refused.add(1);
  } else {
    failed.add(1);
  }
}

export function handleSummary(data) {
  const count = (name) => (data.metrics[name] ? data.metrics[name].values.count : 0);
  const times = data.metrics.latency ? data.metrics.latency.values : {};
  return {
    stdout: JSON.stringify({
      begun: count("iterations"),
      dropped: count("dropped_iterations"),
      answered: count("answered"),
      refused: count("refused"),
      failed: count("failed"),
      p50_ms: times.med || 0,
      p95_ms: times["p(95)"] || 0,
      p99_ms: times["p(99)"] || 0,
      max_ms: times.max || 0,
    }),
  };
}
