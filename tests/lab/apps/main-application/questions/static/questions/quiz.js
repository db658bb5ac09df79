document.querySelectorAll("li").forEach((item, number) => { item.id = `question-${number + 1}`; });
