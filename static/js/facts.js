// The form that adds a filter by facts: values that nodes have complete what is typed.
const ASK_AFTER_MS = 150;
const WITHOUT_VALUE = ["exists", "absent"];

function startOne(form) {
  const [field, operator, value] = ["field", "operator", "value"].map((name) => form.elements[name]);
  const list = document.getElementById(value.getAttribute("list"));
  let timer = 0;
  let asked = 0;

  async function ask() {
    const ticket = ++asked;
    const query = new URLSearchParams({ field: field.value.trim(), q: value.value });
    try {
      const response = await fetch(`${form.dataset.valuesUrl}?${query}`, { credentials: "same-origin" });
      if (!response.ok || ticket !== asked) return;
      const { results } = await response.json();
      list.replaceChildren(
        ...results.map((result) => Object.assign(document.createElement("option"), { value: result.value, label: String(result.count) })),
      );
    } catch {
      // Completion is a convenience: what is typed is sent as it is.
    }
  }
  const later = () => {
    clearTimeout(timer);
    timer = setTimeout(ask, ASK_AFTER_MS);
  };
  const settle = () => {
    const isPath = field.value.includes(".");
    operator.disabled = !isPath;
    value.disabled = isPath && WITHOUT_VALUE.includes(operator.value);
    value.required = !value.disabled;
  };

  field.addEventListener("input", settle);
  operator.addEventListener("change", settle);
  field.addEventListener("change", later);
  value.addEventListener("focus", later);
  value.addEventListener("input", later);
  settle();
}

export function startFacts(within = document) {
  // htmx names each new element by itself, and this form is one of them.
  if (within.matches?.("[data-fact-form]")) startOne(within);
  for (const form of within.querySelectorAll("[data-fact-form]")) startOne(form);
}
