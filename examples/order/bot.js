// The state of an order, from an HTTP service: env.ORDERS_URL.
const number = await ask("Your order number?", {
  validate: /^\d{4}$/,
  retry: "Four digits, please.",
});

let order;
try {
  const response = await fetch(`${env.ORDERS_URL}/orders/${number}`);
  if (response.status === 404) {
    say(`There is no order ${number}.`);
    endOfTask("Fulfilled", "order status");
    return;
  }
  if (!response.ok) throw new Error(`status ${response.status}`);
  order = await response.json();
} catch (error) {
  koreDebugger.log(`orders: ${error.message}`);
  say("The orders cannot be looked up at the moment.");
  endOfTask("Failed", "order status");
  return;
}

say(`Order ${number} is ${order.state}.`);
if (order.state === "open" && (await confirm("Cancel it?"))) {
  // Carries an Idempotency-Key of its own: done once, though it may be asked for again.
  await fetch(`${env.ORDERS_URL}/orders/${number}`, { method: "DELETE" });
  say(`Order ${number} is cancelled.`);
}
endOfTask("Fulfilled", "order status");
