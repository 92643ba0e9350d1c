// Verifies a delivery with the npm package: verify.mjs SECRET < {"headers":{…},"body":"…"} a line.
import { createInterface } from "node:readline";
import { createRequire } from "node:module";

const require = createRequire(`${process.env.SWITCHHOOK_TEST_CLIENTS}/`);
const { Webhook } = require("standardwebhooks");

const webhook = new Webhook(process.argv[2]);
for await (const line of createInterface({ input: process.stdin })) {
  const post = JSON.parse(line);
  webhook.verify(post.body, post.headers);
  let refused = false;
  try {
    webhook.verify(post.body.replace("text", "test"), post.headers);
  } catch {
    refused = true;
  }
  if (!refused) throw new Error("a tampered body was accepted");
  console.log("verified");
}
