// A bank's balance: who is asking comes with the request (customData), proof may come as an attachment.
const session = context.session.BotUserSession;
const { customData, message: said } = session.lastMessage;

if (!customData || !customData.userToken) {
  say("Please sign in first.");
  return;
}

const dollars = (amount) => "$" + String(amount).replace(/\B(?=(\d{3})+$)/g, ",");
const accounts = { Salary: 45000, Savings: 1250 };
const account = await choose("Which account?", Object.keys(accounts));
const files = (said.attachments || []).map((file) => file.fileName || file.url);
if (files.length) {
  session.put("received", files);
  say(`Thank you for ${files.join(", ")}.`);
}
say(`You have ${dollars(accounts[account])} in your ${account} account.`);
if (await confirm("Anything else?")) {
  say("Then ask away.");
} else {
  say("Good bye.");
}
endOfTask("Fulfilled", "show balance");
