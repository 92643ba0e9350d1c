// A survey that shows every template of the protocol once.
const template = (template_type, payload) => ({ type: "template", payload: { template_type, ...payload } });
const postback = (title, payload) => ({ type: "postback", title, payload });
const choice = (title, payload) => ({ content_type: "text", title, payload });

const name = await ask("What shall we call you?");

const liked = await ask(
  template("quick_replies", { text: `Did you like it, ${name}?`, quick_replies: [choice("Yes", "yes"), choice("No", "no")] }),
  { validate: /^(yes|no)$/ },
);

const score = await ask(
  template("feedbackTemplate", {
    text: "How likely are you to recommend us?",
    view: "NPS",
    numbersArrays: [{ numberId: 1, value: 1, color: "#f00" }, { numberId: 10, value: 10, color: "#0f0" }],
    messageTodisplay: "Thank you",
  }),
  { validate: (text) => (Number(text) >= 1 && Number(text) <= 10 ? { score: Number(text) } : false) },
);

say(template("button", { text: "What next?", buttons: [postback("Again", "again"), { type: "web_url", title: "Site", url: "https://example.com" }] }));
say(template("list", { elements: [{ title: "One", subtitle: "first", buttons: [postback("Take", "one")] }], buttons: [postback("More", "more")] }));
say(template("carousel", { elements: [{ title: "Card", image_url: "https://example.com/a.png", buttons: [postback("Take", "card")] }] }));
say(template("table", { text: "All", columns: [["Sl", "center"], ["Name"]], table_design: "regular", elements: [{ Values: ["1", name] }] }));
say(template("mini_table", { text: "Small", layout: "vertical", elements: [{ primary: [["Acct"]], additional: [["CA1", "150"]] }] }));
say(template("piechart", { pie_type: "regular", text: "Shares", elements: [{ title: "A", value: "10", displayValue: "10%" }] }));
say(template("linechart", { text: "Line", X_axis: ["Jan"], elements: [{ title: "A", values: [1], displayValues: ["1"] }] }));
say(template("barchart", { text: "Bars", direction: "vertical", stacked: false, X_axis: ["Jan"], elements: [{ title: "A", values: [1], displayValues: ["1"] }] }));
say(template("dropdown_template", { heading: "Pick", elements: [{ title: "A", value: "a" }] }));
say(template("multi_select", { elements: [{ title: "A", value: "a" }], buttons: [{ title: "Done", type: "postback", payload: "done" }] }));
say(template("like_dislike", {}));
say(template("dateTemplate", { title: "When", text_message: "Pick a day", format: "MM-DD-YYYY" }));

context.session.BotUserSession.put("survey", { name, liked, ...score });
say(`Noted: ${liked}, ${score.score} of 10.`);
endOfTask("Fulfilled", "survey");
