import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.File;
import software.amazon.event.ruler.Machine;
import software.amazon.event.ruler.MachineComplexityEvaluator;

/** Reads {"rules": [...], "events": [...]} and prints for each rule the numbers of the events that it matches, and its complexity. */
public final class Verdicts {
    private static final int MAX_COMPLEXITY = 10_000;

    public static void main(String[] arguments) throws Exception {
        ObjectMapper json = new ObjectMapper();
        JsonNode input = json.readTree(new File(arguments[0]));
        ArrayNode verdicts = json.createArrayNode();
        for (JsonNode rule : input.get("rules")) {
            Machine machine = Machine.builder().build();
            machine.addRule("rule", rule.toString());
            ObjectNode verdict = verdicts.addObject();
            ArrayNode matches = verdict.putArray("matches");
            int number = 0;
            for (JsonNode event : input.get("events")) {
                if (!machine.rulesForJSONEvent(event.toString()).isEmpty()) {
                    matches.add(number);
                }
                number++;
            }
            verdict.put("complexity", machine.evaluateComplexity(new MachineComplexityEvaluator(MAX_COMPLEXITY)));
        }
        System.out.println(verdicts);
    }
}
